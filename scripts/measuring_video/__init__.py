"""Parts of evaluate_video.py.

* `clip`: clips with a truth, a sensor's noise, and the JPEGs of a camera.
* `synthetic`: clips made of still pictures.
* `recorded`: clips of recordings.
* `metrics`: figures of frames over time.
* `measurement`: restores a clip, and measures it.
* `speed`: frames per second.
* `storage`: what restored clips take once they are encoded, and the BD-rate.
* `rows`: what is measured of a clip at a quality.
* `results`: rows from run to run, in a JSON file.
* `targets`: what a model for video is to reach, and what it reaches.
* `tables`, `page`: the tables, and how they come into the page.
* `illustrations`: the page's pictures.
"""
