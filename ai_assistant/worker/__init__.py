"""The asyncio worker: takes tasks from the queue, runs hundreds of streams at once, and publishes their events."""
