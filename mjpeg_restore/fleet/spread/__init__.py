"""Cameras of one settings file on many nodes: the driver, and what it has run there.

    driver, one process                             nodes
    Survey    what cameras send, what nodes do  ->  probe, measure    (tasks)
    grouped   which cameras share a process         ...
    Keeper    one for each of these groups      <-> Group: a Fleet    (actor)
    SpreadFleet, with a RemoteCamera for each camera, which the page shows

Ray places the actors and starts them anew; `mjpeg_restore.cluster` alone knows it.
"""

from mjpeg_restore.fleet.spread.refusals import refuse_local

__all__ = ["refuse_local"]
