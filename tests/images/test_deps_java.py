"""Libraries that an image adds for Java: a pom.xml, installed by the real Maven with the image's own JVM."""
import os

import pytest

import harness
import world

MAVEN = "/usr/share/maven/bin/m2.conf"
pytestmark = [pytest.mark.skipif(world.why_not() is not None, reason=str(world.why_not())),
              pytest.mark.skipif(not os.path.exists(MAVEN) or not os.path.exists("/usr/bin/javac"), reason="maven or a JDK is missing (tools/install-deps test)"),
              pytest.mark.skipif(not os.path.exists(os.path.join(harness.BUILD, "runtimes", "java", "manifest")), reason="built without a JDK")]
INTERNET = pytest.mark.skipif("TEST_INTERNET" not in os.environ, reason="TEST_INTERNET is not set: Maven's plugins come from its central repository")

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>functions</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.commons</groupId><artifactId>commons-lang3</artifactId><version>%s</version></dependency>
  </dependencies>
</project>
"""
USES = """import org.apache.commons.lang3.StringUtils;
public class Swap {
    public String handle(Object context, String payload) {
        return StringUtils.swapCase(payload);
    }
}
"""


def make(server, name, pom, wanted):
    body = {"name": name, "baseImageName": "builtin:java", "runtimeDependencies": {"manifest": pom}}
    assert server.api("POST", "/v1/image", body).status == 201
    return server.wait_status("image", name, wanted, timeout_s=180)


def test_a_pom_that_maven_cannot_read_is_the_status(server, name):
    found = make(server, name, "<project><dependencies>", "ERROR")
    reason = "\n".join(found["reason"])
    assert "dependencies were not installed" in reason and "pom.xml" in reason, reason


@INTERNET
def test_a_library_is_there_to_compile_against_and_to_run_with(server, name):
    image = make(server, name, POM % "3.14.0", "READY")
    assert [layer.split("-")[0] for layer in image["backingObject"]["layers"]] == ["builtin", "deps"]
    server.function(name, {"Swap.java": USES}, image=name)
    assert server.run(name, "Hello")["output"] == "hELLO"


@INTERNET
def test_a_version_that_does_not_exist_is_named(server, name):
    reason = "\n".join(make(server, name, POM % "99.99", "ERROR")["reason"])
    assert "commons-lang3:jar:99.99" in reason, reason


def test_without_the_library_a_function_says_what_it_lacks(server, name):
    server.image(name, "builtin:java")
    found = server.function(name, {"Swap.java": USES}, image=name, wanted="ERROR")
    assert "Swap.java:1: package org.apache.commons.lang3 does not exist" in "\n".join(found["reason"])
