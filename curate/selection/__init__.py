"""Selection: rules over the facts that earlier stages wrote down, named presets of them, and the uid subset."""
