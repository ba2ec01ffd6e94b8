# SPDX-License-Identifier: GPL-2.0-or-later
"""Trouble: what happens to hosts, links and servers, and a plan of it that a seed decides.

A kind of trouble is a context manager: it begins, lasts for a while, and is undone.  A step of a
plan is one of a kind with its time and its place.  Steps of a plan overlap, but never on what
would undo the other's trouble, like two rules for one interface: there the later one waits.
"""

import contextlib
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .guest import Background, FileError
from .pair import SERVER_DEVICES, Node, Pair, wait_until

SIDES = ("client", "server")
LINKS = ("0", "1")
WINDOW = 8                                      # seconds in which steps begin
LASTING = ((0.1, 1), (1, 4), (4, 10))           # seconds; a silent peer is noticed after 4 to 5
MOST_STEPS = 7
RULES = {
    "loss": ("loss 1%", "loss 5%", "loss 25%", "loss 100%"),
    "delay": ("delay 5ms 4ms", "delay 100ms 50ms"),
    "reorder": ("delay 4ms reorder 25% 50%", "delay 10ms reorder 80% 50%"),
    "duplicate": ("duplicate 5%", "duplicate 50%"),
}
VISITOR_MB = 2
PATIENCE = 400      # seconds for what waits until other trouble is over


# -- the network ----------------------------------------------------------------------------


def pull_cable(node: Node, link: int = 0) -> None:
    """Take the carrier from an interface; unlike link_down() its addresses stay.

    Packets wait for the address of a neighbour that does not answer, and soft RoCE of 5.10 falls
    over one that is freed after its queue pair (see known.KNOWN_BUGS): there, none has to wait.
    """
    if node.series == "5.10":
        node.keep_neighbours(link)
    node.monitor.command("set_link", name=f"n{link}", up=False)


def plug_cable(node: Node, link: int = 0) -> None:
    """Give an interface its carrier back."""
    node.monitor.command("set_link", name=f"n{link}", up=True)


# -- the plan -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One trouble of a plan; times are seconds from the start of its round."""

    kind: str
    where: tuple[str, ...]
    begin: float
    lasts: float

    def __str__(self) -> str:
        return f"{self.begin:.1f} s {self.kind} {' '.join(self.where)} for {self.lasts:.1f} s"

    def takes(self) -> tuple[str, ...]:
        """What no other step may use meanwhile, like an interface whose rule is set."""
        return KINDS[self.kind].takes(self.where)


@dataclass(frozen=True)
class Place:
    """What a plan may use: disks under load that can be frozen, and sessions with their disks."""

    freezable: tuple[str, ...]      # device-mapper devices of the server
    disks: tuple[str, ...]          # names of the client's disks under load
    sessions: tuple[str, ...]       # of these disks


def plan(seed: int, number: int, place: Place) -> list[Step]:
    """The steps of a round; they depend on nothing but the arguments."""
    rng = random.Random(f"{seed}/{number}")
    steps: list[Step] = []
    for index in range(rng.randint(2, MOST_STEPS)):
        name, = rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])
        where = KINDS[name].draw(rng, place) + ((f"visitor{number}x{index}",)
                                                if name == "visitor" else ())
        steps.append(Step(name, where, round(rng.uniform(0, WINDOW), 1),
                          round(rng.uniform(*rng.choice(LASTING)), 1)))
    return sorted(steps, key=lambda step: step.begin)


# -- the kinds ------------------------------------------------------------------------------


def node_of(pair: Pair, step: Step) -> tuple[Node, int]:
    """Guest and link of a step that begins with these."""
    return getattr(pair, step.where[0]), int(step.where[1])


@contextlib.contextmanager
def cable(pair: Pair, step: Step) -> Iterator[None]:
    """A cable is pulled out."""
    node, link = node_of(pair, step)
    pull_cable(node, link)
    try:
        yield
    finally:
        plug_cable(node, link)


@contextlib.contextmanager
def disturbed(pair: Pair, step: Step) -> Iterator[None]:
    """What a guest sends on a link is lost, late, in another order, or comes twice."""
    node, link = node_of(pair, step)
    node.netem(step.where[2], link)
    try:
        yield
    finally:
        node.netem("", link)


@contextlib.contextmanager
def unacknowledged(pair: Pair, step: Step) -> Iterator[None]:
    """Acknowledgements of RDMA are lost, nothing else."""
    node, link = node_of(pair, step)
    node.drop_acknowledgements(link)
    try:
        yield
    finally:
        node.netem("", link)


@contextlib.contextmanager
def paused(pair: Pair, step: Step) -> Iterator[None]:
    """A host hangs."""
    node = getattr(pair, step.where[0])
    node.pause()
    try:
        yield
    finally:
        node.resume()


@contextlib.contextmanager
def without_adapter(pair: Pair, step: Step) -> Iterator[None]:
    """The RDMA device of an interface is gone."""
    node, link = node_of(pair, step)
    node.run(f"rdma link delete rxe{link}", timeout=PATIENCE)
    try:
        yield
    finally:
        node.restore_link(link)


@contextlib.contextmanager
def without_server(pair: Pair, _: Step) -> Iterator[None]:
    """The server's modules are unloaded."""
    pair.server.unload(PATIENCE)
    try:
        yield
    finally:
        pair.load_server()


@contextlib.contextmanager
def frozen(pair: Pair, step: Step) -> Iterator[None]:
    """A backend takes requests and does not end them."""
    pair.server.run(f"dmsetup suspend --noflush --nolockfs {step.where[0]}")
    try:
        yield
    finally:
        pair.server.run(f"dmsetup resume {step.where[0]}")


@contextlib.contextmanager
def remapped(pair: Pair, step: Step) -> Iterator[None]:
    """Somebody is impatient; a disk that is open says so."""
    pair.client.write_errno(f"/sys/block/{step.where[0]}/rnbd/remap_device", 1, PATIENCE)
    yield


@contextlib.contextmanager
def visitor(pair: Pair, step: Step) -> Iterator[None]:
    """Another disk comes, is used, and goes: in order, by force, or since the server takes it.

    While there is trouble it may be refused.  Once it is there, no I/O of it may fail before it
    is taken away, and no data may be wrong.
    """
    session, links, way, backend = step.where
    pair.server.null_blk(backend, size_mb=VISITOR_MB)
    paths = [] if links == "there" else [pair.paths()[int(link)] for link in links]
    try:
        disk = pair.client.map(backend, session, paths, PATIENCE)
    except FileError as error:
        pair.client.say(f"lab: {backend} was not mapped: {error.name}")
        yield
        return
    load = start_load(pair.client, disk.path, backend, "--until-error --threads 2")
    try:
        yield
        if load.done():
            raise AssertionError(f"{backend}: an I/O failed before the disk was taken away: "
                                 f"{load.wait(check=False)}")
        LEAVES[way](pair, disk, load, step)
    finally:
        load.kill()
    result = load.wait(check=False)
    if result.status == 1:
        raise AssertionError(f"{backend}: {result}")


def leave(_: Pair, disk, load: Background, __: Step) -> None:
    """The load ends after it compared everything, then the disk is unmapped."""
    load.kill(signal.SIGTERM)
    load.wait()
    disk.unmap(timeout=PATIENCE)


def leave_by_force(_: Pair, disk, __: Background, ___: Step) -> None:
    """The disk is unmapped under load."""
    disk.unmap(force=True, timeout=PATIENCE)


def leave_by_server(pair: Pair, disk, load: Background, step: Step) -> None:
    """The server takes the disk away under load, if the session is there just now."""
    file = f"{SERVER_DEVICES}/{step.where[3]}/sessions/{step.where[0]}/force_close"
    if not pair.server.write_errno(file, 1, PATIENCE):
        # if the session is lost now, the disk is opened again and the load goes on
        with contextlib.suppress(AssertionError):
            wait_until(load.done, 5, "the load ends")
    disk.unmap(force=True, timeout=PATIENCE)


LEAVES = {"leaves": leave, "is-unmapped": leave_by_force, "is-closed": leave_by_server}


# -- the load -------------------------------------------------------------------------------


def start_load(node: Node, device: str, name: str, options: str = "",
               timeout: float = 3 * PATIENCE) -> Background:
    """Start a load that knows what the disk must hold (guest/stamp.py); SIGTERM ends it."""
    load = node.start(f"exec python3 /lab/stamp.py load {device} {state_file(name)} {options}",
                      timeout)
    wait_until(lambda: node.exists(f"{state_file(name)}.going") or load.done(), PATIENCE,
               "the load is under way")
    return load


def state_file(name: str) -> str:
    """Where a load leaves what its disk must hold."""
    return f"/tmp/{name}.state"


# -- the table ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of trouble."""

    weight: int
    draw: Callable[[random.Random, Place], tuple[str, ...]]     # where
    act: Callable[[Pair, Step], contextlib.AbstractContextManager]
    takes: Callable[[tuple[str, ...]], tuple[str, ...]]


def draw_link(rng: random.Random, _: Place) -> tuple[str, ...]:
    """A link of a side."""
    return rng.choice(SIDES), rng.choice(LINKS)


def draw_rule(name: str) -> Callable[[random.Random, Place], tuple[str, ...]]:
    """A link of a side, and a rule for what is sent there."""
    return lambda rng, place: (*draw_link(rng, place), rng.choice(RULES[name]))


def draw_visitor(rng: random.Random, place: Place) -> tuple[str, ...]:
    """A session that is there or one of its own, over which links in which order, and its end."""
    session, links = rng.choice((*place.sessions, "visit", "visit2")), rng.choice(("0", "1", "01", "10"))
    return session, "there" if session in place.sessions else links, rng.choice(list(LEAVES))


def disturbance(name: str, weight: int) -> Kind:
    """A kind that disturbs what is sent."""
    return Kind(weight, draw_rule(name), disturbed, lambda where: ("interface", *where[:2]))


KINDS = {
    "cable": Kind(4, draw_link, cable, lambda where: ("cable", *where)),
    "loss": disturbance("loss", 3),
    "delay": disturbance("delay", 1),
    "reorder": disturbance("reorder", 2),
    "duplicate": disturbance("duplicate", 1),
    "acknowledgements": Kind(2, draw_link, unacknowledged, lambda where: ("interface", *where)),
    "pause": Kind(3, lambda rng, _: (rng.choice(SIDES),), paused, lambda where: ("pause", *where)),
    "adapter": Kind(2, draw_link, without_adapter, lambda where: ("interface", *where)),
    "server": Kind(2, lambda *_: (), without_server, lambda _: ("server",)),
    "freeze": Kind(3, lambda rng, place: (rng.choice(place.freezable),), frozen,
                   lambda where: ("freeze", *where)),
    "remap": Kind(1, lambda rng, place: (rng.choice(place.disks),), remapped,
                  lambda where: ("remap", *where)),
    "visitor": Kind(6, draw_visitor, visitor, lambda where: where),
}
