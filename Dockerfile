# The server for a host with NVIDIA GPUs:
#   docker build -t llava-server .
#   docker run --gpus all -p 8000:8000 --shm-size 2g --stop-timeout 60 llava-server \
#     --model llava-hf/llava-1.5-7b-hf
# --stop-timeout 60 leaves requests in flight the server's 30 s to finish, and it time to close.
FROM vllm/vllm-openai:v0.32.0

ARG REVISION=unknown
# Of pyproject.toml: --build-arg EXTRAS='[ray]' for deploy/ray.
ARG EXTRAS=
LABEL org.opencontainers.image.title="llava-server" \
      org.opencontainers.image.description="An OpenAI-compatible server for LLaVA models, in front of vLLM's engine" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/vllm/vllm-openai:v0.32.0"

# An init: it passes signals on to the server, and reaps what the server's children leave behind.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

# The base image is what the engine was built and tested with: packages it brings keep their
# version, those it lacks get ours.
ENV PIP_BREAK_SYSTEM_PACKAGES=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src
RUN --mount=type=bind,target=/src,rw \
    python3 -m pip list --format=freeze --exclude-editable > /tmp/base.txt \
    && cut -d = -f 1 /tmp/base.txt | tr 'A-Z_.' 'a-z--' | sed 's/.*/^&==/' > /tmp/known.txt \
    && cat requirements/cuda.txt requirements/ray.txt | grep -v -f /tmp/known.txt > /tmp/ours.txt \
    && python3 -m pip install --no-cache-dir --no-build-isolation -c /tmp/base.txt -c /tmp/ours.txt ".$EXTRAS" \
    && rm /tmp/base.txt /tmp/known.txt /tmp/ours.txt

# All that is written goes to /cache (pulled models, compiled kernels: mount a volume there to keep
# them) and /tmp, so that the root file system may be read-only. Group 0 for clusters that choose a
# user of their own.
RUN useradd --uid 10001 --home-dir /cache --no-create-home llava \
    && install -d -o llava -g 0 -m 0775 /cache
COPY docker/healthcheck.py docker/with_mps.sh /opt/llava/
USER 10001
WORKDIR /cache
ENV HOME=/cache \
    XDG_CACHE_HOME=/cache \
    HF_HOME=/cache/huggingface \
    LLAVA_STORE=/cache/models \
    TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    TRITON_CACHE_DIR=/cache/triton \
    VLLM_CACHE_ROOT=/cache/vllm \
    VLLM_NO_USAGE_STATS=1 \
    DO_NOT_TRACK=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    LLAVA_HOST=0.0.0.0
VOLUME /cache

EXPOSE 8000 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30m --retries=3 \
    CMD ["python3", "-I", "-S", "/opt/llava/healthcheck.py"]
ENTRYPOINT ["tini", "--", "python3", "-m", "server"]
# No options: they would win over the variables of whoever runs the image.
CMD []
