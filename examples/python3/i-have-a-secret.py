"""Uses a secret: each key of the function's secrets is a member of context["secrets"]."""


def handle(context, payload):
    if "password" not in context["secrets"]:
        return {"message": "I know nothing"}
    return {"message": "The password has %d characters" % len(context["secrets"]["password"])}
