# jdart on CPUs. From the repository's root:
#   docker build --file docker/cpu.Dockerfile --tag jdart:cpu .
#   docker run --rm --volume "$PWD:/home/jdart/here" jdart:cpu jdart demo
FROM python:3.11-slim-bookworm

# g++ stays in the image: Jittor compiles its operators when they are first used
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

# The wheels for CPUs save 5 GB
RUN pip install --no-cache-dir "torch>=2.2" "torchvision>=0.17" --index-url https://download.pytorch.org/whl/cpu

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

# What Jittor compiles, and weights that come along, lie in this user's home
RUN useradd --create-home --uid 1000 jdart && install --directory --owner jdart /home/jdart/here
USER jdart
# Compiled ahead. Neither the host's name nor the kernel's version is in the name of this cache, so that it serves where
# the container runs; the processor's instructions are: on another kind of processor the first command compiles anew.
RUN jdart warm
WORKDIR /home/jdart/here
CMD ["jdart", "doctor"]
