# CPU:  docker build -t loraleak .
# CUDA: docker build -t loraleak --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
# Run:  docker run --rm -v "$PWD:/data" loraleak inspect my-lora.safetensors
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=faces

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c constraints.txt ".[$EXTRAS]" \
    && useradd --create-home --uid 1000 loraleak \
    && mkdir /data && chown loraleak /data

USER 1000
WORKDIR /data
ENTRYPOINT ["loraleak"]
CMD ["--help"]
