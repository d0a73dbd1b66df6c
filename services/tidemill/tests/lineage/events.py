"""Reads every lineage event with the classes of openlineage-python: nothing may be missing, left over or malformed.

Arguments: a file of JSON lines, each with the event as text in "event". Prints what was seen as JSON.
"""

import enum
import inspect
import json
import sys
import types
import typing
from collections import Counter, defaultdict

import attr
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

FACETS = {
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "dataSource": facet_v2.datasource_dataset.DatasourceDatasetFacet,
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "dataQualityMetrics": facet_v2.data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet,
    "dataQualityAssertions": facet_v2.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
    "inputStatistics": facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "ownership": facet_v2.ownership_dataset.OwnershipDatasetFacet,
    "lifecycleStateChange": facet_v2.lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "nominalTime": facet_v2.nominal_time_run.NominalTimeRunFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
}

OF_JOBS = {
    "ownership": facet_v2.ownership_job.OwnershipJobFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
}


def structure(kind, value):
    """The value as an instance of a class; an unknown or a missing field is an error."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return structure(next(a for a in arguments if a is not type(None)), value)
    if kind is typing.Any:
        return value
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return kind(value)
    if origin is list:
        return [structure(arguments[0], item) for item in value]
    if origin is dict:
        return {key: structure(arguments[1], item) for key, item in value.items()}
    if attr.has(kind):
        hints = typing.get_type_hints(kind)
        value = dict(value)
        schema = value.pop("_schemaURL", None)
        if schema is not None:
            assert schema == kind._get_schema(), f"{schema} is not {kind._get_schema()}"
        given = {}
        for field in attr.fields(kind):
            if field.init and field.name in value:
                given[field.alias] = structure(hints[field.name], value.pop(field.name))
        assert not value, f"{kind.__name__} has no {sorted(value)}"
        return kind(**given)
    if inspect.isclass(kind) and not issubclass(kind, (int, float, str)):
        return value
    wanted = (int, float) if kind is float else kind
    assert isinstance(value, wanted), f"{value!r} is no {kind}"
    return value


def facets(given, known=FACETS):
    made = {}
    for name, value in (given or {}).items():
        if name.startswith("tidemill_"):
            assert value["_producer"] and value["_schemaURL"]
            continue
        made[name] = structure(known[name], value)
    return made


def datasets(kind, given, own):
    made = []
    for value in given:
        extra = {own: facets(value.get(own))}
        assert set(value) <= {"namespace", "name", "facets", own}, value
        made.append(kind(value["namespace"], value["name"], facets=facets(value["facets"]), **extra))
    return made


def event(value):
    assert set(value) == {"eventType", "eventTime", "run", "job", "inputs", "outputs", "producer", "schemaURL"}, value
    assert value["schemaURL"] == event_v2.RunEvent._get_schema()
    return event_v2.RunEvent(
        eventType=event_v2.RunState[value["eventType"]],
        eventTime=value["eventTime"],
        run=event_v2.Run(value["run"]["runId"], facets=facets(value["run"]["facets"])),
        job=event_v2.Job(value["job"]["namespace"], value["job"]["name"], facets=facets(value["job"]["facets"], OF_JOBS)),
        inputs=datasets(event_v2.InputDataset, value["inputs"], "inputFacets"),
        outputs=datasets(event_v2.OutputDataset, value["outputs"], "outputFacets"),
        producer=value["producer"],
    )


def main():
    kinds, seen, runs = defaultdict(Counter), Counter(), defaultdict(list)
    for line in open(sys.argv[1], encoding="utf-8"):
        value = json.loads(json.loads(line)["event"])
        made = event(value)
        # What the client would send is what stands there.
        assert Serde.to_dict(made)["run"]["runId"] == value["run"]["runId"]
        kinds[value["job"]["name"].split(".")[0]][value["eventType"]] += 1
        runs[value["run"]["runId"]].append(value["eventType"])
        seen.update(list(value["run"]["facets"]) + [f"job.{name}" for name in value["job"]["facets"]])
        for dataset in value["inputs"] + value["outputs"]:
            for group in ("facets", "inputFacets", "outputFacets"):
                seen.update(dataset.get(group, {}).keys())
    unpaired = [run for run, events in runs.items() if "START" not in events or len(set(events)) < 2]
    print(json.dumps({"jobs": kinds, "facets": seen, "runs": len(runs), "unpaired": len(unpaired)}))


main()
