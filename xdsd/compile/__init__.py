"""From intent and catalog to Envoy resources.

Everything here is pure: values in, values out. ``compiler`` is the way in and ``graph`` what makes it cheap: results that
remember what they were made from. ``world`` holds the inputs and ``resolve`` the published rules of visibility and
precedence; ``layers`` says which resources a proxy needs, and ``standing`` whose fault it is where one refuses some; all
other modules turn one value into one Envoy message.
"""
