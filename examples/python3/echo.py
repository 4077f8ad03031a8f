"""Gives back what it got."""


def handle(context, payload):
    return payload
