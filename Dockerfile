# An image for CPUs, of about 550 MB: many cameras by a settings file. docs/cameras.md says how to run it.
#
#   docker build --tag mjpeg-restore .
#
# scripts/check_image.py runs the steps without Docker, and adds up what is in the image.

FROM python:3.12-slim-bookworm AS build

RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev libjpeg62-turbo-dev

COPY pyproject.toml setup.py README.md LICENSE /src/
COPY mjpeg_restore /src/mjpeg_restore
COPY engines /src/engines

# OpenVINO is the runtime that is kept: ONNX Runtime and jpeglib, what there is to fall back on, would be 150 MB more.
# Without openvino-telemetry it has nothing to report to anybody.
RUN python -m venv --without-pip /opt/mjpeg-restore \
 && pip --python /opt/mjpeg-restore/bin/python install --no-cache-dir "/src[serve]" \
 && pip --python /opt/mjpeg-restore/bin/python uninstall --yes onnxruntime jpeglib openvino-telemetry setuptools wheel


FROM python:3.12-slim-bookworm

RUN apt-get update \
 && apt-get install --yes --no-install-recommends libjpeg62-turbo \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin restore \
 && install --directory --owner restore --group restore /recordings

COPY --from=build /opt/mjpeg-restore /opt/mjpeg-restore

ENV PATH=/opt/mjpeg-restore/bin:$PATH
USER restore
WORKDIR /recordings
VOLUME /recordings
EXPOSE 8080

# The settings serve on port 8080: what is asked there is whether pictures come. Docker may have put its proxy into the
# environment, which does not know this container.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as web; web.build_opener(web.ProxyHandler({})).open('http://127.0.0.1:8080/healthz', timeout=4)"]

ENTRYPOINT ["mjpeg-restore"]
CMD ["run", "/etc/mjpeg-restore/cameras.toml"]
