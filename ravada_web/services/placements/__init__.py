"""From rows to a placement and back to a kept decision. The rules are in ravada_web.placement."""
