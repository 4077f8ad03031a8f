"""Runs that wait for each other: possible only in one instance, with a concurrency above 1 and async def."""
import asyncio

guests, everybody = [], asyncio.Event()


async def handle(context, payload):
    guests.append(payload["name"])
    print(payload["name"], "has come")
    if len(guests) >= payload["guests"]:
        everybody.set()
    await everybody.wait()
    return sorted(guests)
