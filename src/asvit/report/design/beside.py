"""Published networks beside a design, by what both cost: counted, not measured."""

from collections.abc import Sequence

from asvit.design.record import DesignReport
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import TIMM
from asvit.report.markup import Markup, architecture, table, tag
from asvit.report.parts import images, wrapped
from asvit.report.published import OF_TIMM, Published, of_the_paper, of_timm_near
from asvit.units import format_size

Own = tuple[str, Architecture]
"""What a network was designed for, and the network."""


def published_beside(report: DesignReport) -> list[Markup]:
    """Published networks of like size, and what they were counted for."""
    task = report.task
    own = own_networks(report)
    paper, timm = of_the_paper(task, ["seed"]), []
    words = f"Counted, not measured, for {images(task)}: the paper's own seed network and what was found here."
    if report.grown is not None:
        paper, timm = of_the_paper(task), near(own, task)
        words = f"Counted, not measured. As-ViT, the paper's own networks, and those designed are for {images(task)}, "
        words += f"models of timm for {images(OF_TIMM[0].task)}: smaller images take fewer multiply-adds. "
        words += "How accurate any of them is for your images is not known here."
    title = "Published networks beside it" if len(own) == 1 else "Published networks beside them"
    return [tag("h2", title), tag("p", words), _table(own, task, [*paper, *timm])]


def own_networks(report: DesignReport) -> list[Own]:
    """The networks of a run, each once."""
    if report.grown is None:
        found = {search.best_ranked or search.most_probable: search.seed for search in report.searches}
        return [(f"seed topology of search {seed}", Architecture.parse(text)) for text, seed in found.items()]
    budgets: dict[str, list[str]] = {}
    for member in report.grown.family:
        budgets.setdefault(member.architecture, []).append(str(member.budget))
    return [(f"designed for {', '.join(names)}", Architecture.parse(text)) for text, names in budgets.items()]


def near(own: Sequence[Own], task: Task) -> list[Published]:
    """The models of timm of like size, each once."""
    return list({network.name: network for _, ours in own for network in of_timm_near(ours.params(task))}.values())


def _table(own: Sequence[Own], task: Task, beside: Sequence[Published]) -> Markup:
    ours = [(designed, network, network.params(task), network.macs(task)) for designed, network in own]
    rows = [(params, macs, _name(designed, network), task) for designed, network, params, macs in ours]
    rows += [(network.params, network.macs, _published(network), network.task) for network in beside]
    cells = [
        [name, format_size(params), format_size(macs), "×".join(map(str, counted.image_size))]
        for params, macs, name, counted in sorted(rows, key=lambda row: row[:2])
    ]
    return table(["network", "parameters", "MACs", "of images"], cells, class_="numbers")


def _published(network: Published) -> Markup:
    return wrapped(network.name if network.name.startswith(TIMM) else f"As-ViT {network.name}")


def _name(designed: str, network: Architecture) -> Markup:
    return tag("div", tag("div", tag("strong", designed)), architecture(str(network)))
