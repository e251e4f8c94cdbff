"""Every number we promise, in the order of the report."""

from bench import (
    agent_start,
    audit,
    catch_up,
    connect,
    gate,
    host_call,
    http_fetch,
    idle,
    kill,
    receive,
    round_trip,
    start,
    stop,
    task_latency,
    task_rate,
)

PROMISES = (
    receive.PROMISE,
    round_trip.PROMISE,
    connect.PROMISE,
    task_latency.PROMISE,
    task_rate.PROMISE,
    catch_up.PROMISE,
    gate.PROMISE,
    host_call.PROMISE,
    http_fetch.PROMISE,
    agent_start.PROMISE,
    stop.PROMISE,
    *kill.PROMISES,
    audit.APPEND,
    audit.VERIFY,
    audit.EXPORT,
    idle.PROMISE,
    start.PROMISE,
)
