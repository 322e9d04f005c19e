# The server for a host with NVIDIA GPUs:
#   docker build -t llava-server .
#   docker run --gpus all -p 8000:8000 llava-server --model llava-hf/llava-1.5-7b-hf
# --stop-timeout 45 leaves requests in flight the server's 30 s to finish.
FROM vllm/vllm-openai:v0.32.0

LABEL org.opencontainers.image.title="llava-server" \
      org.opencontainers.image.description="An OpenAI-compatible server for LLaVA models, in front of vLLM's engine" \
      org.opencontainers.image.licenses="Apache-2.0"

# The base image is what the engine was built and tested with: packages it brings keep their
# version (base.txt), those it lacks get ours.
ENV PIP_BREAK_SYSTEM_PACKAGES=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src
RUN --mount=type=bind,target=/src,rw \
    python3 -m pip list --format=freeze --exclude-editable > base.txt \
    && cut -d = -f 1 base.txt | tr 'A-Z_.' 'a-z--' | sed 's/.*/^&==/' > known.txt \
    && grep -v -f known.txt requirements/cuda.txt > ours.txt \
    && python3 -m pip install --no-cache-dir --no-build-isolation -c base.txt -c ours.txt .

# Downloaded models and compiled kernels go to /cache: mount a volume there to keep them.
RUN useradd --create-home --uid 10001 llava \
    && install -d -o llava -g llava /cache
USER 10001
WORKDIR /home/llava
ENV XDG_CACHE_HOME=/cache \
    HF_HOME=/cache/huggingface \
    LLAVA_STORE=/cache/models \
    TRITON_CACHE_DIR=/cache/triton \
    VLLM_CACHE_ROOT=/cache/vllm \
    VLLM_NO_USAGE_STATS=1 \
    DO_NOT_TRACK=1 \
    PYTHONUNBUFFERED=1
VOLUME /cache

EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["python3", "-m", "server", "--host", "0.0.0.0"]
