"""What an image adds to its base goes along when a function is exported. Fixtures and index are test_deps.py's."""
import io
import json
import tarfile

import test_deps
from containers import Container, Layout
from test_deps import disk, outside, server  # noqa: F401 (fixtures)

pytestmark = test_deps.pytestmark


def test_packages_of_the_image_come_along(server, tmp_path):  # noqa: F811
    test_deps.create(server, "exported", "fine\n")
    image = server.wait_status("image", "exported", timeout_s=120)
    server.function("uses-fine", test_deps.USES, image="exported")
    here = server.run("uses-fine")["output"]
    reply = server.api("GET", "/v1/function/uses-fine/image", timeout_s=120)
    assert reply.status == 200, reply
    with tarfile.open(fileobj=io.BytesIO(reply.body)) as archive:
        archive.extractall(tmp_path / "layout")
    layout = Layout(tmp_path / "layout")
    assert len(layout.manifest["layers"]) == len(image["backingObject"]["layers"]) + 2 >= 4
    container = Container(layout, tmp_path / "c", name="deps")
    try:
        status, body = container.wait().curl("/", "-H", "Content-Type: application/json", "-d", "{}")
        assert status == 200 and json.loads(body) == here
        assert container.terminate() == 0
    finally:
        container.finish()
