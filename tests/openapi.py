"""Holds exchanges with a server to the description that it gives of itself (GET /openapi.json): the status is one that
the operation has, the body is what the schema of that status says, and no field is in it that the schema does not have."""
import copy
import urllib.parse

try:
    from jsonschema import Draft202012Validator
except ImportError:
    Draft202012Validator = None


def description_of(server):
    """None where python3-jsonschema is missing: then exchanges are not checked (test_openapi.py says so)."""
    if Draft202012Validator is None:
        return None
    reply = server.api("GET", "/openapi.json")
    assert reply.status == 200, reply
    return Description(reply.json)


def walk(value):
    """Every object in a JSON document."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def strict(components):
    """The same schemas for what a server sends: nothing that is not described, nothing that is only written."""
    components = copy.deepcopy(components)
    for each in walk(components["schemas"]):
        if isinstance(each.get("properties"), dict):
            each["properties"] = {name: schema for name, schema in each["properties"].items()
                                  if not (isinstance(schema, dict) and schema.get("writeOnly") is True)}
            each["additionalProperties"] = False
    return components


class Description:
    def __init__(self, document):
        self.document = document
        self.replies = strict(document["components"])
        self.seen = set()  # (path, method, status) that were checked
        self.validators = {}

    def resolve(self, value):
        while "$ref" in value:
            found = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value

    def path_of(self, target):
        """The described path that a target names, or None."""
        segments = [each for each in urllib.parse.urlsplit(target).path.split("/") if each]
        for path in self.document["paths"]:
            parts = [each for each in path.split("/") if each]
            if len(parts) == len(segments) and all(part.startswith("{") or part == segment
                                                   for part, segment in zip(parts, segments)):
                return path
        return None

    def validate(self, schema, value, components, what):
        key = (str(schema), components is self.replies)
        if key not in self.validators:
            self.validators[key] = Draft202012Validator({**schema, "components": components})
        error = next(self.validators[key].iter_errors(value), None)
        assert error is None, f"{what}: {'/'.join(map(str, error.absolute_path))}: {error.message[:1000]}"

    def check(self, method, target, body, reply):
        path = self.path_of(target)
        if path is None:
            assert reply.status in (401, 404, 501), (method, target, reply)
            return
        operation = self.document["paths"][path].get(method.lower())
        what = f"{method} {path} {reply.status}"
        if operation is None:
            assert reply.status == 405, what
            return
        assert str(reply.status) in operation["responses"], f"{what} is not described"
        self.seen.add((path, method, reply.status))
        described = self.resolve(operation["responses"][str(reply.status)])
        for name in described.get("headers", {}):
            assert name == "Link" or reply.headers[name], f"{what} has no {name}"
        content = described.get("content")
        if content is None:
            assert reply.status == 503 or not reply.body, what
        elif "application/json" in content:
            self.validate(content["application/json"]["schema"], reply.json, self.replies, what)
        if method == "POST" and reply.status < 300 and isinstance(body, dict):
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.validate(schema, body, self.document["components"], what + ", the request")
