"""The function of the quickstart: greets, and shows how a handler logs."""


def handle(context, payload):
    payload = payload or {}
    name = payload.get("name", "Noone")
    place = payload.get("place", "Nowhere")
    print("messages to stdout show up in logs")
    return {"myField": "Hello, %s from %s" % (name, place)}
