"""The loads of the table, and what each must reach."""

from __future__ import annotations

import msgspec

from .pace import pace_of

#: Paths that a load may take: the host with a direct wire, the host with LiteLLM, the LiteLLM proxy, no server at all.
DIRECT, LITELLM, PROXY, UPSTREAM = "direct wire", "LiteLLM path", "LiteLLM proxy", "upstream alone"

#: In the chats one after the other finished tasks expire soon, so that what grows is a leak; that the host keeps each
#: for an hour by default is another load.
SHORT_TTL_S = 2


class Must(msgspec.Struct, frozen=True, kw_only=True):
    """Targets of one load, in milliseconds; `None` where there is none."""

    p99_ms: float | None = None
    first_event_ms: float | None = None
    """For the median of the streams' first events."""
    one_event_per_frame: bool = False
    rss_growth: float | None = None
    """The most that the memory may grow between the two marks: 0.03 is 3 %."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load."""

    name: str
    title: str
    path: str
    pace: str
    streams: int = 1
    rounds: int = 1
    idle_sockets: int = 0
    conversation: bool = False
    marks: tuple[int, ...] = ()
    task_ttl_s: int | None = None
    """How long the host keeps a task and its events; `None` means its default."""
    must: Must | None = None
    """`None`: measured for comparison."""

    @property
    def tokens(self) -> int:
        """Tokens of one answer."""
        return pace_of(self.pace).tokens

    @property
    def model(self) -> str:
        """The name of its model in the host's configuration."""
        return f"{self.path.split()[0].lower()}-{self.pace}"

    @property
    def is_wire(self) -> bool:
        """Whether it goes through the host."""
        return self.path in (DIRECT, LITELLM)


def loads_of(seconds: float, chats: int) -> list[Load]:
    """Every load, with streams of so many seconds and so many chats one after the other."""
    steady, bursty = f"steady-50-{seconds:g}", f"bursty-200-{seconds:g}"
    return [
        Load(name="floor-50", title="50 streams, no server between", path=UPSTREAM, pace=steady, streams=50),
        Load(
            name="1",
            title="1 stream",
            path=DIRECT,
            pace=steady,
            must=Must(p99_ms=15, first_event_ms=20),
        ),
        Load(name="25", title="25 streams", path=DIRECT, pace=steady, streams=25, must=Must(p99_ms=50)),
        Load(name="50", title="50 streams", path=DIRECT, pace=steady, streams=50, must=Must(p99_ms=50)),
        Load(name="100", title="100 streams", path=DIRECT, pace=steady, streams=100, must=Must(p99_ms=100)),
        Load(
            name="bursty-20",
            title="20 bursty streams, 200 tokens/s",
            path=DIRECT,
            pace=bursty,
            streams=20,
            must=Must(p99_ms=50, one_event_per_frame=True),
        ),
        Load(
            name="idle-1000",
            title="20 streams beside 1,000 idle sockets",
            path=DIRECT,
            pace=steady,
            streams=20,
            idle_sockets=1000,
            must=Must(p99_ms=50),
        ),
        Load(
            name="chats",
            title=f"{chats:,} chats one after the other",
            path=DIRECT,
            pace="once-20",
            rounds=chats,
            conversation=True,
            marks=(chats // 5, chats),
            task_ttl_s=SHORT_TTL_S,
            must=Must(rss_growth=0.03),
        ),
        Load(
            name="chats-kept",
            title=f"{chats:,} chats, all of them kept",
            path=DIRECT,
            pace="once-20",
            rounds=chats,
            conversation=True,
            marks=(chats // 5, chats),
        ),
        Load(name="litellm-1", title="1 stream", path=LITELLM, pace=steady),
        Load(name="litellm-50", title="50 streams", path=LITELLM, pace=steady, streams=50),
        Load(name="proxy-1", title="1 stream", path=PROXY, pace=steady),
        Load(name="proxy-50", title="50 streams", path=PROXY, pace=steady, streams=50),
    ]


#: What a Frappe site is measured with where no load is named.
ON_SITE = ("1", "25", "50", "bursty-20", "idle-1000")
#: A site's own target: 25 streams through its web server, one worker and its realtime server.
SITE_MUST = {"25": Must(p99_ms=100)}


def on_site(load: Load) -> Load:
    """The load with a site's targets: all must be delivered, and the rest is measured."""
    if load.must is None:
        return load
    must = SITE_MUST.get(load.name, Must(one_event_per_frame=load.must.one_event_per_frame))
    return msgspec.structs.replace(load, must=must)
