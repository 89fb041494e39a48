"""From intent and catalog to Envoy resources. Pure: values in, values out; ``compiler`` is the way in, ``graph`` what makes it cheap."""
