"""The MindSpore engine: checkpoint directory -> frozen language model behind one face.

It knows nothing of strategies, templates or data sets. Import it only where MindSpore is wanted: importing
`promptkit.engine.backbone` loads MindSpore.
"""
