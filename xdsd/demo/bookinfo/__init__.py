"""A bookshop in four services, after the well-known sample: productpage, details, reviews and ratings.

``python -m xdsd.demo.bookinfo SERVICE --version V --address A --port P --proxy URL`` runs one instance. All
calls between them go to ``--proxy``, the Envoy beside the caller, which decides where
``http://reviews:9080`` is. Only the standard library is used, so that an instance is small and starts at
once.
"""
