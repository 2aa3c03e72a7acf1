# jdart on CUDA 12.2 with cuDNN 8, which is what Jittor 1.3.11 finds (docs/gpu.md). From the repository's root:
#   docker build --file docker/cuda.Dockerfile --tag jdart:cuda .
#   docker run --rm --gpus all --hostname jdart --volume "$PWD:/home/jdart/here" --volume jdart-cache:/home/jdart/.cache \
#     jdart:cuda jdart demo
# Nothing is compiled here: a build has no driver. The named volume keeps what the first run compiles. Jittor names its
# cache for CUDA after the host's name and the kernel's version, and a container's name is a new one each time unless
# --hostname gives one; after an update of the host's kernel it compiles anew.
FROM nvidia/cuda:12.2.2-cudnn8-devel-ubuntu22.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ python3-dev python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv /opt/python
ENV PATH=/opt/python/bin:$PATH

# The evaluator's PyTorch with CUDA libraries of its own, of a version that drivers for 12.2 serve
RUN pip install --no-cache-dir "torch>=2.2" "torchvision>=0.17" --index-url https://download.pytorch.org/whl/cu121

COPY pyproject.toml setup.cfg README.md LICENSE /opt/jdart/
COPY configs /opt/jdart/configs
COPY contest /opt/jdart/contest
COPY data/sample /opt/jdart/data/sample
COPY evaluator /opt/jdart/evaluator
COPY jdart /opt/jdart/jdart
COPY leaderboard /opt/jdart/leaderboard
COPY organiser /opt/jdart/organiser
COPY submission /opt/jdart/submission
RUN pip install --no-cache-dir "/opt/jdart[all]"

# Made here, so that a volume in its place belongs to this user too
RUN useradd --create-home --uid 1000 jdart && install --directory --owner jdart /home/jdart/.cache /home/jdart/here
USER jdart
WORKDIR /home/jdart/here
CMD ["jdart", "doctor"]
