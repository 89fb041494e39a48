"""What operators declare, kept in storage.

An object lives under a *key* made of its kind, namespace and name, as canonical JSON. To *apply* objects is
to make them so, all or none: *admission* says what refuses them (errors) and what they will not do
(warnings), a *plan* says for each whether it is created, configured or unchanged, and one transaction
writes the plan if nobody was faster. A *change* is what a watch says: objects added or replaced, objects
gone, problems of stored values that cannot be read. Each write leaves a *record* of each object, with its
*author* and both states: the *history* is all of them, the *past* what objects were by them, and a *rollback*
an ordinary write of what one was.
"""

from xdsd.intents.encoding import Undecodable, parse
from xdsd.intents.history import Author, HistoryPage, Record, Wanted
from xdsd.intents.intents import Applied, Deleted, Intents, Listing
from xdsd.intents.past import Differences
from xdsd.intents.planning import Outcome, Verdict
from xdsd.intents.transacting import Inadmissible, Transacted
from xdsd.intents.watching import IntentChange
from xdsd.intents.world import Observed

__all__ = [
    "Applied",
    "Author",
    "Deleted",
    "Differences",
    "HistoryPage",
    "Inadmissible",
    "IntentChange",
    "Intents",
    "Listing",
    "Observed",
    "Outcome",
    "Record",
    "Transacted",
    "Undecodable",
    "Verdict",
    "Wanted",
    "parse",
]
