"""An endpoint's function: looks at method, query and header fields, and answers with a status and fields of its own."""
from dispatch import Response


def handle(context, payload):
    request = context["request"]
    if request["method"] == "DELETE":
        return Response({"error": "this stays"}, status=403)
    name = payload.get("name", "stranger")
    if "text/html" in request["header"].get("Accept", [""])[0]:
        return Response("<p>Hello, %s</p>\n" % name, headers={"Content-Type": "text/html; charset=utf-8"})
    return Response({"hello": name, "method": request["method"]}, headers={"Cache-Control": "no-store"})
