"""Holds an answer against the service model: names, JSON types, lengths, patterns."""

from botocore.validate import ParamValidator

from elastic_transcoder.api.service import pattern, service


def assert_answer(operation, members):
    """Nothing unknown, nothing of another type, every pattern kept; null is left aside."""
    shape = service().operation_model(operation).output_shape
    given = without_nulls(members)
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()
    assert_patterns(shape, given)


def assert_patterns(shape, value):
    if shape.type_name == "structure":
        for name, member in value.items():
            assert_patterns(shape.members[name], member)
    elif shape.type_name == "list":
        for item in value:
            assert_patterns(shape.member, item)
    elif shape.type_name == "string" and "pattern" in shape.metadata:
        assert pattern(shape.metadata["pattern"]).fullmatch(value), (shape.name, value)


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
