"""Figures of this process, by the names that Prometheus' client libraries give them.

Source of the names: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics. Linux only: elsewhere
there are none.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from ai_assistant.core.metrics import Family, counter, gauge

PROC = Path("/proc/self")


def process_families() -> list[Family]:
    """CPU, memory, open files, start."""
    spent = time.process_time()
    try:
        pages = int((PROC / "statm").read_text().split()[1])
        files = len(os.listdir(PROC / "fd"))
        started = started_at((PROC / "stat").read_text())
    except (OSError, ValueError, IndexError):
        return [counter("process_cpu_seconds_total", "CPU time of this process.", spent)]
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory = pages * os.sysconf("SC_PAGE_SIZE")
    return [
        counter("process_cpu_seconds_total", "CPU time of this process.", spent),
        gauge("process_resident_memory_bytes", "Memory of this process.", memory),
        gauge("process_open_fds", "Files and sockets that it has open.", files),
        gauge("process_max_fds", "The most that it may have open.", soft if soft >= 0 else float("inf")),
        gauge("process_start_time_seconds", "When it began, in seconds since the epoch.", started),
    ]


def started_at(stat: str) -> float:
    """When a process began, from its `stat` (proc(5): the 22nd field, in clock ticks after boot)."""
    ticks = int(stat.rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
