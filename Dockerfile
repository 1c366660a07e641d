# One file, four images:
#
#   docker build --target orchestrator .       API, reconciler, triggers, Flower: no model library
#   docker build --target cpu-worker .         workers that decode, plan and assemble: no torch
#   docker build --target gpu-worker .         workers of both pools; it runs on CPUs too
#   docker build --target gpu-worker-baked .   the same with models inside, for sites without a hub
#
# The tag names one patch release, but its publisher may push it again. For builds that never
# change, append the digest that `docker buildx imagetools inspect python:<tag>` prints:
#   --build-arg PYTHON_VERSION=3.11.15-slim-bookworm@sha256:<digest>
ARG PYTHON_VERSION=3.11.15-slim-bookworm


# What the two sets of packages have in common: an empty environment and the pinned versions.
# It has no pip of its own, so neither have the images' environments.
FROM python:${PYTHON_VERSION} AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/scriptorium
COPY pyproject.toml constraints.txt ./
COPY locks locks


# The product as a wheel. A changed line of source changes this and nothing that is large.
FROM build AS wheel
RUN pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt setuptools
COPY README.md LICENSE ./
COPY config config
COPY gpu_worker gpu_worker
COPY tasks tasks
COPY orchestrator orchestrator
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .


# What the control plane imports, as pyproject.toml names it and constraints.txt pins it.
FROM build AS orchestrator-packages
# Unless it is no, each file that pip fetches must have a SHA-256 of locks/. They are those of the
# package index's builds for x86_64; another architecture, or another index's builds, has the versions
# alone. Said in each stage: buildah and podman hand no argument of a stage on to those that begin with it.
ARG LOCKED=yes
RUN --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; \
        project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        extras = project['optional-dependencies']; \
        print(*project['dependencies'], *extras['flower'], *extras['tracing'], sep='\n')" \
        > requirements.txt \
    && if [ "$LOCKED" != no ] && [ "$(uname -m)" = x86_64 ]; then \
        pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
            --only-binary=:all: --no-deps --require-hashes --requirement locks/orchestrator.txt; \
    else \
        pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
            --only-binary=:all: --constraint constraints.txt --requirement requirements.txt; \
    fi


# What decodes and finds speech. It can transcribe on a CPU too; it cannot tell voices apart.
FROM build AS cpu-worker-packages
ARG LOCKED=yes
RUN --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; \
        project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        extras = project['optional-dependencies']; \
        print(*project['dependencies'], *extras['transcriber'], *extras['tracing'], sep='\n')" \
        > requirements.txt \
    && if [ "$LOCKED" != no ] && [ "$(uname -m)" = x86_64 ]; then \
        pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
            --only-binary=:all: --no-deps --require-hashes --requirement locks/cpu-worker.txt; \
    else \
        pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
            --only-binary=:all: --constraint constraints.txt --requirement requirements.txt; \
    fi


# And what a process that runs models imports: torch with CUDA, several GB.
FROM build AS gpu-worker-packages
ARG LOCKED=yes
# An index beside pip's own, such as PyTorch's of builds for CPUs, which bring no CUDA along.
# The address stays in the image's history, so it must hold no password.
ARG PIP_EXTRA_INDEX_URL=""
RUN --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; \
        project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        extras = project['optional-dependencies']; \
        wanted = (*extras['worker'], *extras['whisperx'], *extras['parakeet'], *extras['tracing']); \
        print(*project['dependencies'], *wanted, sep='\n')" \
        > requirements.txt \
    && if [ "$LOCKED" != no ] && [ "$(uname -m)$PIP_EXTRA_INDEX_URL" = x86_64 ]; then \
        pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
            --only-binary=:all: --no-deps --require-hashes --requirement locks/gpu-worker.txt; \
    else \
        pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
            --only-binary=:all: --constraint constraints.txt --requirement requirements.txt; \
    fi


# What all images are at run time: an unprivileged user, on a root that may be read-only.
# Written to are /tmp, /scratch, /models, /store and, with the first key, /keys alone.
FROM python:${PYTHON_VERSION} AS base
RUN groupadd --gid 10001 scriptorium \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp \
        --shell /usr/sbin/nologin scriptorium \
    && install --directory --owner=10001 --group=10001 /models /scratch /store \
    && install --directory --owner=10001 --group=10001 --mode=0700 /keys
ENV PATH=/opt/scriptorium/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SCRIPTORIUM_WORK_DIR=/scratch \
    SCRIPTORIUM_HEARTBEAT_FILE=/tmp/heartbeat
WORKDIR /app
STOPSIGNAL SIGTERM
ENTRYPOINT ["scriptorium"]
LABEL org.opencontainers.image.title="Scriptorium" \
      org.opencontainers.image.description="A distributed transcription cluster: audio in, one exact transcript out, nothing lost" \
      org.opencontainers.image.licenses="Apache-2.0"


FROM base AS cpu-worker
COPY --from=cpu-worker-packages /opt/scriptorium /opt/scriptorium
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
        --no-cache-dir --no-deps --no-index /wheels/*.whl
ENV HF_HOME=/models \
    SCRIPTORIUM_MODEL_DIR=/models
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "test -n \"$(find \"$SCRIPTORIUM_HEARTBEAT_FILE\" -mmin -2)\""]
# All stages of CPU workers but `diarize`, which needs torch.
CMD ["worker", "--pool", "cpu", "--stages", "prepare,fan_out,assemble"]


FROM base AS gpu-worker
COPY --from=gpu-worker-packages /opt/scriptorium /opt/scriptorium
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
        --no-cache-dir --no-deps --no-index /wheels/*.whl
# CUDA's libraries come as wheels. torch knows where they are; CTranslate2 asks the loader for
# libcublas, and cuDNN for libnvrtc. The driver's own come from the NVIDIA container runtime; GKE mounts
# them at /usr/local/nvidia/lib64 instead.
ENV LD_LIBRARY_PATH=/opt/scriptorium/lib/python3.11/site-packages/nvidia/cublas/lib:/opt/scriptorium/lib/python3.11/site-packages/nvidia/cudnn/lib:/opt/scriptorium/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib:/usr/local/nvidia/lib64 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HF_HOME=/models \
    SCRIPTORIUM_MODEL_DIR=/models
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
# Its process touches the file while it does its work. A large model takes its time to load.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["sh", "-c", "test -n \"$(find \"$SCRIPTORIUM_HEARTBEAT_FILE\" -mmin -2)\""]
CMD ["worker", "--pool", "gpu"]


# A gated model, such as pyannote's, needs a token: --secret id=hf_token,env=HF_TOKEN
FROM gpu-worker AS models
ARG MODELS="large-v3-turbo WAV2VEC2_ASR_BASE_960H"
# hadolint ignore=SC2086  # MODELS is several words
RUN --mount=type=secret,id=hf_token,uid=10001 \
    mkdir /tmp/models \
    && HF_TOKEN="$(cat /run/secrets/hf_token 2>/dev/null || true)" \
        SCRIPTORIUM_MODEL_DIR=/tmp/models scriptorium models pull ${MODELS}


FROM gpu-worker AS gpu-worker-baked
COPY --from=models /tmp/models /opt/models
ENV SCRIPTORIUM_MODEL_DIR=/opt/models \
    HF_HUB_OFFLINE=1 \
    PIP_NO_INDEX=1


# The last, so that a build without --target is the small one.
FROM base AS orchestrator
COPY --from=orchestrator-packages /opt/scriptorium /opt/scriptorium
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/scriptorium/bin/python --disable-pip-version-check install \
        --no-cache-dir --no-deps --no-index /wheels/*.whl
ENV SCRIPTORIUM_API_HOST=::
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 8000
# Of the API. The reconciler and the triggers are healthy while they touch their heartbeat file:
# their containers need a check of their own, as in compose.yaml. (No proxy is asked for this machine itself.)
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client, os, sys; api = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('SCRIPTORIUM_API_PORT', '8000')), timeout=4); api.request('GET', '/healthz'); sys.exit(api.getresponse().status != 200)"]
CMD ["serve"]
