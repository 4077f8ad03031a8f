#!/bin/sh
# Installs what a pom.xml depends on into DISPATCH_DEPS_ROOT, by Maven, with the image's own JVM: the jars that are needed
# at run time, in the folder that the agent has on its class path, and beside them the list of what they are.
set -eu

maven=/usr/share/maven
jars=$DISPATCH_DEPS_ROOT/usr/local/share/dispatch/java
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
launcher=

for jar in "$maven"/boot/plexus-classworlds*.jar; do
        [ ! -e "$jar" ] || launcher=$jar
done
if [ -z "$launcher" ]; then
        echo "ERROR: there is no Maven at $maven" >&2
        exit 1
fi

set -- -Dmaven.home="$maven" -Dclassworlds.conf="$maven/bin/m2.conf" -Dmaven.multiModuleProjectDirectory="$PWD" \
        -Duser.home="$HOME" -Djava.io.tmpdir="$TMPDIR" -Dfile.encoding=UTF-8
[ ! -e /etc/ssl/certs/java/cacerts ] || set -- "$@" -Djavax.net.ssl.trustStore=/etc/ssl/certs/java/cacerts
# shellcheck disable=SC2086 # words are meant to split
set -- ${MAVEN_OPTS:-} "$@" -classpath "$launcher" org.codehaus.plexus.classworlds.launcher.Launcher -B -ntp \
        -Dstyle.color=never -Dmaven.repo.local="$HOME/.m2/repository"
[ ! -e /etc/maven/settings.xml ] || set -- "$@" -gs /etc/maven/settings.xml
# shellcheck disable=SC2086
set -- "$@" ${MAVEN_ARGS:-}

mkdir -p "$jars"
"${DISPATCH_DEPS_PROGRAM:-/usr/bin/java}" "$@" -f "$DISPATCH_DEPS_FILE" "$plugin:copy-dependencies" "$plugin:list" -DincludeScope=runtime \
        -DoutputDirectory="$jars" -DoutputFile="$TMPDIR/list" -DincludeTypes=jar
# "   group:artifact:jar:version:scope", with a classifier before the version where there is one
awk '{ sub(/^ +/, ""); sub(/ .*/, ""); n = split($0, part, ":"); if (n >= 5) print part[1] ":" part[2] ":" part[n - 1] }' \
        "$TMPDIR/list" | LC_ALL=C sort -u >"$jars/packages.list"
