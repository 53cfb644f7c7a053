# hf-pack alone: what pulls and verifies a package in a cluster's init containers. No Nix, no runtime.
#   docker build --tag registry.example.org/hf-pack:0.1.0 .
FROM python:3.11-slim AS build
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN python -m venv /opt/hf-pack && /opt/hf-pack/bin/pip install --no-cache-dir /source

FROM python:3.11-slim
COPY --from=build /opt/hf-pack /opt/hf-pack
# A user of any number may run it; what it writes goes where --store, HOME and the XDG variables say.
ENV PATH=/opt/hf-pack/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
USER 65532:65532
ENTRYPOINT ["hf-pack"]
