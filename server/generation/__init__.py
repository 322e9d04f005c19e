"""From engine outputs to each choice's deltas: `EngineOutput` -> `ChoiceReader` -> `ChoiceDelta`.

`Generation` iterates over the deltas of one request. The API dialects write them as bodies or
server-sent events.
"""
