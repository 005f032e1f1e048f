"""Arrays of a detector: it is scored on the values that it has learned from."""

import numpy as np
import pytest
import torch
from coco_sets import edit, write_part
from PIL import Image

from asvit.detection.job import scenes_for
from asvit.detection.settings import DetectorSettings, SceneData
from asvit.detection.trained import DetectorSpec
from asvit.networks.architecture import Task


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Pictures of 8 bits as arrays of 12, and the first of them as it was."""
    root = tmp_path_factory.mktemp("arrays")
    write_part(root, "val", 2, 0)
    for file in sorted((root / "val2017").glob("*.png"), reverse=True):
        first = np.asarray(Image.open(file))
        np.save(file.with_suffix(".npy"), first.astype(np.uint16) * 16)
    edit(
        root,
        "val",
        lambda document: [one.update(file_name=one["file_name"][:3] + ".npy") for one in document["images"]],
    )
    return SceneData(data=root), first


@pytest.mark.parametrize(("asked", "largest"), [(None, 4080), ((0, 8160), 8160)])
def test_the_range_of_values_is_that_of_the_training_unless_another_is_asked_for(arrays, asked, largest, capsys):
    data, first = arrays
    spec = DetectorSpec(network="seed", task=Task(num_classes=3), settings=DetectorSettings(), value_range=(0, 4080))
    scenes = scenes_for(spec, SceneData(data=data.data, value_range=asked), "val")
    expected = torch.from_numpy(first.astype(np.float32) * 16 / largest).permute(2, 0, 1)
    torch.testing.assert_close(scenes.image(0), expected)
    said = "values from 0 to 8160 become 0 to 1, as asked for; those that the detector was trained on: 0 to 4080\n"
    assert capsys.readouterr().err == (said if asked else "")
