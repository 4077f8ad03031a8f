"""Compiles the agent's classes and packs them into its jar and, of the package that handlers may use, another.

usage: compile.py JAVAC AGENT_JAR API_JAR SOURCE...
The same sources give the same jars, to the byte; nothing in them is compressed, so that they load quickly.
"""
import pathlib
import subprocess
import sys
import tempfile
import zipfile

RELEASE = "17"


def write_jar(path, folder, names):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as jar:
        for name in ["META-INF/MANIFEST.MF", *sorted(names)]:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            jar.writestr(entry, "Manifest-Version: 1.0\n\n" if name.startswith("META-INF") else (folder / name).read_bytes())


def main(javac, agent_jar, api_jar, *sources):
    with tempfile.TemporaryDirectory() as where:
        folder = pathlib.Path(where)
        # Concatenation the old way: the new one builds its code at run time, which every start would pay for.
        subprocess.run([javac, "--release", RELEASE, "-XDstringConcat=inline", "-Xlint:all,-options", "-Werror", "-g", "-proc:none",
                        "-encoding", "UTF-8", "-d", where, *sources], check=True)
        names = [str(path.relative_to(folder)) for path in folder.rglob("*.class")]
        write_jar(agent_jar, folder, [name for name in names if name.startswith("dispatch/agent/")])
        write_jar(api_jar, folder, [name for name in names if not name.startswith("dispatch/agent/")])


main(*sys.argv[1:])
