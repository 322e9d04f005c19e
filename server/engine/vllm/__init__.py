"""vLLM as the engine: token ids and image embeddings in, `EngineOutput` out.

Only this package and `server.engine.tool_parsers` import vllm. Prompts skip vLLM's own rendering
and image processing. With `limit_mm_per_prompt={"image": 0}` it loads neither tower nor projector.
"""
