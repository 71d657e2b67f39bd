"""The foxglove.* schemas of an episode against the definitions that Foxglove publishes, field by field."""

from __future__ import annotations

import importlib

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

from recorders import messages

FOXGLOVE = [name for name in messages.schema_names() if name.startswith("foxglove.")]


def published(name: str) -> Descriptor:
    """From the package foxglove-schemas-protobuf, generated from github.com/foxglove/foxglove-sdk."""
    short = name.removeprefix("foxglove.")
    return importlib.import_module(f"foxglove_schemas_protobuf.{short}_pb2").DESCRIPTOR.message_types_by_name[
        short
    ]


def ours(name: str) -> dict[str, DescriptorProto]:
    """All messages that travel with a schema, by full name."""
    files = FileDescriptorSet.FromString(messages.schema_data(name))
    return {f"{file.package}.{message.name}": message for file in files.file for message in file.message_type}


def shape(fields: list[FieldDescriptorProto]) -> dict[str, tuple[int, int, int, str]]:
    return {f.name: (f.number, f.type, f.label, f.type_name.lstrip(".")) for f in fields}


def published_shape(descriptor: Descriptor) -> dict[str, tuple[int, int, int, str]]:
    message = DescriptorProto()
    descriptor.CopyToProto(message)
    return shape(list(message.field))


@pytest.mark.parametrize("name", FOXGLOVE)
def test_every_message_of_a_schema_is_the_published_one(name: str) -> None:
    carried = ours(name)
    waiting, seen = [published(name)], set()
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in seen:
            continue
        seen.add(descriptor.full_name)
        assert shape(list(carried[descriptor.full_name].field)) == published_shape(descriptor)
        waiting.extend(field.message_type for field in descriptor.fields if field.message_type is not None)


def test_there_are_schemas_to_compare() -> None:
    assert {"foxglove.CompressedVideo", "foxglove.FrameTransforms", "foxglove.SceneUpdate"} <= set(FOXGLOVE)
