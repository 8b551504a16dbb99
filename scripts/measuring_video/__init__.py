"""Parts of evaluate_video.py.

* `clip`: clips with a truth, a sensor's noise, and JPEGs made of them.
* `synthetic`: clips made of still pictures.
* `recorded`: clips of recordings.
* `rows`: what is measured of a clip at a quality.
* `measurement`: restores a clip, and measures it.
* `storage`: what restored clips take once they are encoded, and the BD-rate.
* `results`: rows from run to run, in a JSON file.
* `tables`: the tables of the page, and the targets.
* `page`: writes tables into the page.
* `illustrations`: the pictures of the page.
"""
