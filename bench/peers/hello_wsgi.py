"""uWSGI: the same answer as the functions, computed from the query."""
import json
from urllib.parse import parse_qs


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    name, place = query.get("name", ["Noone"])[0], query.get("place", ["Nowhere"])[0]
    body = json.dumps({"myField": f"Hello, {name} from {place}"}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
