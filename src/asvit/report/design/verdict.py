"""What a design is, whether it is good, and how that was found out: the first words of its page."""

from asvit.complexity.usage import Usage
from asvit.design.family import Member
from asvit.design.record import DesignReport, Grown
from asvit.design.search import SearchResult
from asvit.design.words import undecided_in_words
from asvit.measure.words import format_usage
from asvit.networks.architecture import Architecture
from asvit.report.design.evidence import OF_PARAMS, STUDY, Evidence, evidence_of
from asvit.report.design.search_charts import space_of
from asvit.report.markup import Markup, architecture, join, score_in_words, tag
from asvit.report.parts import folded
from asvit.units import count, format_size

NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
SEARCH_PAID = "Searching by it paid: topologies found reached 48.5 to 50.5 % accuracy, random ones 41.1 to 49.8 %. "
GROWTH_DID_NOT = "Growing by it was no better than growing at random: 49.4 and 50.1 %. "
"""What the same study found of searches and growth by the paper's score."""


def headline(report: DesignReport) -> str:
    """What the run is for, without the images."""
    if report.grown is None:
        return "A seed topology" if len(report.searches) == 1 else "Seed topologies"
    members = len(report.grown.family)
    if members == 1:
        return "A Vision Transformer"
    return f"{NUMBERS[members] if members < len(NUMBERS) else members} Vision Transformers"


def how_found(report: DesignReport) -> Markup:
    """How networks were found, in a sentence."""
    done = " and ".join(["searched"] * bool(report.searches) + ["grown"] * (report.grown is not None))
    measured = [topologies(len(report.topologies_measured))] if report.searches else []
    measured += [] if report.grown is None else [count(len(report.grown.measured), "network") + " of the growth"]
    words = f" of networks with random weights. Measured: {' and '.join(measured)}."
    return join([f"As-ViT, {done} without training: by ", score_in_words(report.score, explained=True), words])


def what_it_is(report: DesignReport) -> Markup:
    """The networks with what they cost."""
    if report.grown is None:
        return _topology(report)
    return tag("ul", *map(_member, report.grown.family), class_="members")


def topologies(number: int) -> str:
    """A number of topologies.

    >>> topologies(1), topologies(50)
    ('1 topology', '50 topologies')
    """
    return "1 topology" if number == 1 else f"{number:,} topologies"


def _topology(report: DesignReport) -> Markup:
    """What a search hands on, and what the others found."""
    result, first = report.result, report.searches[0]
    assert isinstance(result, SearchResult)
    network = Architecture.parse(result.architecture)
    topology = str(network.topology)
    how = "measured best" if topology == first.best_ranked else "is the likeliest under the policy"
    left = undecided_in_words(first.steps[-1].entropy, space_of(first))
    words = [
        tag("strong", architecture(topology), f" {how}"),
        f" of {topologies(len(first.measurements))} measured. It is a start, not yet a network to train: as it was "
        f"measured, one block a stage and {network.width} channels, it has "
        f"{format_size(network.params(report.task))} parameters. After {count(len(first.steps), 'step')} the policy is "
        f"{left}.",
    ]
    items = [tag("li", *words)]
    if len(report.searches) > 1:
        likeliest = len({search.most_probable for search in report.searches})
        found = "all the same topology" if likeliest == 1 else f"{topologies(likeliest)}, by their policies"
        items.append(tag("li", f"{len(report.searches)} searches found {found}; this is the first one's."))
    return tag("ul", *items, class_="members")


def _member(member: Member) -> Markup:
    words = f"{format_size(member.params)} parameters, {format_size(member.macs)} multiply-adds (MACs) an image"
    words += f", {100 * member.share:.0f} % of the budget" + in_use(member.usage)
    return tag("li", tag("strong", f"Within {member.budget}: "), words, ".")


def in_use(usage: Usage | None) -> str:
    """What a network takes where it was measured; nothing where it was not."""
    if usage is None:
        return ""
    latency, memory = format_usage(usage)
    images = "an image" if usage.batch_size == 1 else f"a batch of {count(usage.batch_size, 'image')}"
    threads = "" if usage.threads is None else f", {count(usage.threads, 'thread')}"
    return f"; {latency} {images} and {memory} of memory here ({usage.device}{threads})"


def is_it_good(report: DesignReport) -> Markup:
    """What is known of networks that were chosen this way, its numbers folded away."""
    if report.run.config.recipe == "smoke":
        words = " The recipe smoke shows all steps within seconds: what it finds means nothing. Leave --recipe out for "
        return tag("p", tag("strong", "Is it good? No."), words + "one that measures in earnest.")
    candidate = tag("strong", "Is it good? A good candidate, not a proven best. ")
    known = evidence_of(report.score, report.run.config.measure)
    if known is None:
        words = "No study has asked yet how well this score, measured this way, ranks networks. "
        return tag("p", candidate, words + _advice(report.grown))
    words = f"In the one study so far, its score ranked networks {known.verdict} counting their parameters. "
    numbers = folded("The numbers of the study", tag("p", _numbers(report, known)))
    return join([tag("p", candidate, words, _advice(report.grown)), numbers])


def _numbers(report: DesignReport, known: Evidence) -> str:
    """What the study found, with intervals."""
    words = f"{STUDY}. Kendall τ of the score {known.tau}, of the number of parameters {OF_PARAMS}: 1 is the order of "
    words += "their accuracies and 0 a random one. "
    words += "The score was picked out of many, and so looks better than it is. " if known.picked else ""
    if {objective.name for objective in report.score} == {"length", "ntk"}:
        words += SEARCH_PAID * bool(report.searches) + GROWTH_DID_NOT * (report.grown is not None)
    return words


def _advice(grown: Grown | None) -> str:
    if grown is None:
        return "So grow two topologies if you can, train both, and keep the better one."
    return "So train two candidates if you can, one of these and a published one from below, and keep the better one."
