"""Writes the Grafana dashboards beside it: `python3 dashboards.py`, or `--check` to compare only.

One panel is one call with title, meaning, unit, queries and thresholds. Metrics are those of
shared/telemetry/src/names.rs; a test looks each of them up.
"""

import json
import pathlib
import sys

SOURCE = {"type": "prometheus", "uid": "${source}"}
FOLDER = pathlib.Path(__file__).parent / "dashboards"


def steps(*limits):
    """Green below the first limit, then yellow, then red; `low=True` limits are written by `floor`."""
    colors = ["yellow", "red"]
    return [{"color": "green", "value": None}] + [{"color": c, "value": v} for c, v in zip(colors, limits)]


def floor(red, yellow):
    """Red below the first limit, yellow below the second, green above."""
    return [
        {"color": "red", "value": None},
        {"color": "yellow", "value": red},
        {"color": "green", "value": yellow},
    ]


def panel(title, meaning, unit, queries, kind="timeseries", thresholds=None, width=8, height=8, decimals=None):
    """`queries` are pairs of a PromQL expression and a legend."""
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": thresholds or steps()}}
    if decimals is not None:
        defaults["decimals"] = decimals
    if kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 8,
            "showPoints": "never",
            "thresholdsStyle": {"mode": "line+area" if thresholds else "off"},
        }
        options = {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif kind == "heatmap":
        options = {"calculate": False, "yAxis": {"unit": unit}, "color": {"scheme": "Blues"}}
    else:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    targets = [
        {
            "refId": chr(ord("A") + at),
            "datasource": SOURCE,
            "expr": expr,
            "legendFormat": legend,
            "format": "heatmap" if kind == "heatmap" else "time_series",
        }
        for at, (expr, legend) in enumerate(queries)
    ]
    return {
        "title": title,
        "description": meaning,
        "type": kind,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": targets,
        "gridPos": {"w": width, "h": height, "x": 0, "y": 0},
    }


def stat(title, meaning, unit, expr, thresholds=None, decimals=None):
    return panel(title, meaning, unit, [(expr, "")], "stat", thresholds, 4, 4, decimals)


def row(title):
    return {"title": title, "type": "row", "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def rate(metric, by, filters=""):
    return f"sum by ({by}) (rate({metric}{filters}[$__rate_interval]))"


def quantile(q, metric, by, filters=""):
    le = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({le}) (rate({metric}_bucket{filters}[$__rate_interval])))"


def variable(name, label, query):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def placed(panels):
    """Puts panels side by side, 24 columns a line, in the order in which they are written."""
    x, y, line = 0, 0, 0
    for number, one in enumerate(panels, 1):
        grid = one["gridPos"]
        if x + grid["w"] > 24:
            x, y, line = 0, y + line, 0
        grid["x"], grid["y"] = x, y
        x, line = x + grid["w"], max(line, grid["h"])
        one["id"] = number
    return panels


def dashboard(name, title, meaning, variables, panels):
    source = {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}
    others = [other for other in ("flow", "serving", "model", "platform") if other != name]
    links = [{"title": f"Tidemill: {other}", "type": "link", "url": f"/d/tidemill-{other}"} for other in others]
    return {
        "uid": f"tidemill-{name}",
        "title": title,
        "description": meaning,
        "tags": ["tidemill"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": links,
        "templating": {"list": [source, *variables]},
        "panels": placed(panels),
    }


def flow():
    s = '{source=~"$from"}'
    panels = [
        stat("Rows a second", "Rows committed to raw tables.", "short", f"sum(rate(tidemill_ingestion_rows_total{s}[$__rate_interval]))"),
        stat("Behind the bus", "Messages in the streams behind the last committed one.", "short", f"sum(tidemill_ingestion_lag_messages{s})", steps(1000, 100000), 0),
        stat("Dead letters in 24 h", "Events and rows that were refused and kept.", "short", f"sum(increase(tidemill_ingestion_dead_letters_total{s}[24h]))", steps(1, 100), 0),
        stat("Quarantined share, 24 h", "Rows that a quality rule set aside, of all rows checked.", "percentunit", f"sum(increase(tidemill_validation_quarantined_rows_total{s}[24h])) / sum(increase(tidemill_validation_rows_total{s}[24h]))", steps(0.01, 0.05), 2),
        stat("Watermark lag", "Largest distance between the newest event and the watermark of its source.", "s", f"max(tidemill_feature_watermark_lag_seconds{s})", steps(3600, 86400)),
        stat("Commit, 95 %", "From the first message of a commit to a raw table until it stands.", "s", quantile(0.95, "tidemill_ingestion_commit_seconds", "", s), steps(15, 60)),
        row("Ingestion"),
        panel("Rows", "Rows committed to raw tables, by source.", "rowsps", [(rate("tidemill_ingestion_rows_total", "source", s), "{{source}}")]),
        panel("Behind the bus", "Messages that wait for a commit. A line that only climbs: ingestion stands still.", "short", [(f"tidemill_ingestion_lag_messages{s}", "{{source}}")], thresholds=steps(1000, 100000)),
        panel("Time of a commit", "From its first message until it stands: the commit age of the configuration is in it.", "s", [(quantile(q, "tidemill_ingestion_commit_seconds", "", s), f"{q:.0%}") for q in (0.5, 0.95, 0.99)]),
        panel("Refused and repeated", "Dead letters, and events whose id was seen before.", "short", [(f"sum by (source) (increase(tidemill_ingestion_dead_letters_total{s}[$__rate_interval]))", "dead letter {{source}}"), (f"sum by (source) (increase(tidemill_ingestion_duplicates_total{s}[$__rate_interval]))", "duplicate {{source}}")]),
        panel("Commits", "Commits to raw and clean tables.", "ops", [(rate("tidemill_ingestion_commits_total", "source", s), "raw {{source}}"), (rate("tidemill_validation_commits_total", "source", s), "clean {{source}}")]),
        panel("Fetched and pushed", "Rows fetched from files, interfaces and databases, the messages they were published in, and requests that brought events over HTTP.", "ops", [(rate("tidemill_ingestion_fetched_rows_total", "source", s), "rows {{source}}"), (rate("tidemill_ingestion_fetched_messages_total", "source", s), "messages {{source}}"), (rate("tidemill_ingestion_pushes_total", "source", s), "requests {{source}}")]),
        panel("Trouble with sources", "Sources that are halted because stream and table disagree, files and bodies that were refused as a whole, and looks that failed and were repeated.", "short", [(f"tidemill_ingestion_halted_sources{s}", "halted {{source}}"), (f"sum by (source) (increase(tidemill_ingestion_refused_objects_total{s}[$__rate_interval]))", "refused {{source}}"), (f"sum by (source) (increase(tidemill_ingestion_fetch_failures_total{s}[$__rate_interval]))", "failed {{source}}")]),
        panel("Time of a look", "Duration of one look at files or one poll.", "s", [(quantile(q, "tidemill_ingestion_fetch_seconds", "", s), f"{q:.0%}") for q in (0.5, 0.95)]),
        row("Validation"),
        panel("Rows checked and set aside", "Rows that passed the quality rules' check, and those in quarantine.", "rowsps", [(rate("tidemill_validation_rows_total", "source", s), "checked {{source}}"), (rate("tidemill_validation_quarantined_rows_total", "source", s), "quarantined {{source}}")]),
        panel("Behind the raw tables", "Raw versions that the clean tables do not cover yet.", "short", [(f"tidemill_validation_lag_versions{s}", "{{source}}")], thresholds=steps(64, 640)),
        panel("Time of a check", "To check some raw versions and commit them.", "s", [(quantile(q, "tidemill_validation_commit_seconds", "", s), f"{q:.0%}") for q in (0.5, 0.95)]),
        row("Timeliness"),
        panel("Silence", "Time for which sources that promise to be fresh have brought nothing new. A line that climbs without end: a dead source.", "s", [(f"tidemill_monitoring_source_lag_seconds{s}", "{{source}}")]),
        panel("Late and silent sources", "Sources about to break their promise, and those that have broken it.", "short", [(f"tidemill_monitoring_late_sources{s}", "late {{source}}"), (f"tidemill_monitoring_stale_sources{s}", "silent {{source}}")], thresholds=steps(1)),
        row("Features"),
        panel("Events applied online", "Events in the online state, and those that came after the watermark had passed their instant.", "rowsps", [(rate("tidemill_feature_applied_events_total", "source", s), "applied {{source}}"), (rate("tidemill_feature_late_events_total", "source", s), "late {{source}}")]),
        panel("Taken back online", "Rows that validation set aside after the online state had taken them in, and how often a source was set back to its clean table.", "short", [(rate("tidemill_feature_retracted_rows_total", "source", s), "rows {{source}}"), (rate("tidemill_feature_set_backs_total", "source, cause", s), "{{source}} {{cause}}")]),
        panel("Watermark lag", "Predictions at an instant wait until every watermark has passed it.", "s", [(f"tidemill_feature_watermark_lag_seconds{s}", "{{source}}")], thresholds=steps(3600, 86400)),
        panel("Online reads", "Feature vectors read, by status: unknown or outside the look-back means no score.", "rowsps", [(rate("tidemill_feature_reads_total", "status"), "{{status}}")]),
        panel("Time of a read", "One read request, waiting for watermarks included.", "s", [(quantile(q, "tidemill_feature_read_seconds", ""), f"{q:.0%}") for q in (0.5, 0.95, 0.99)], thresholds=steps(0.1, 1)),
    ]
    sources = variable("from", "Event source", "label_values(tidemill_ingestion_rows_total, source)")
    return dashboard("flow", "Tidemill: flow", "Do events arrive, how late, and what is refused?", [sources], panels)


def serving():
    d = '{deployment=~"$deployment"}'
    panels = [
        stat("Requests a second", "Prediction requests answered.", "reqps", f"sum(rate(tidemill_serving_requests_total{d}[$__rate_interval]))"),
        stat("Failed share", "Requests that failed, of all.", "percentunit", f"sum(rate(tidemill_serving_errors_total{d}[$__rate_interval])) / (sum(rate(tidemill_serving_requests_total{d}[$__rate_interval])) + sum(rate(tidemill_serving_errors_total{d}[$__rate_interval])))", steps(0.001, 0.01), 2),
        stat("Latency, 95 %", "Of one request, whatever its number of rows.", "s", quantile(0.95, "tidemill_serving_request_seconds", "", d), steps(0.05, 0.5)),
        stat("Age of the champion", "Since the model in service became champion.", "s", f"time() - max(tidemill_serving_champion_since_seconds{d})", steps(40 * 86400, 90 * 86400)),
        stat("Alerted share", "Predictions whose score reached the threshold.", "percentunit", f"sum(rate(tidemill_serving_alerted_predictions_total{d}[$__rate_interval])) / sum(rate(tidemill_serving_predictions_total{d}[$__rate_interval]))", decimals=1),
        stat("Waiting on disk", "Predictions that wait for the bus.", "short", f"sum(tidemill_serving_log_spooled_rows{d})", steps(1, 100000), 0),
        row("Requests"),
        panel("Requests", "Answered, by model.", "reqps", [(rate("tidemill_serving_requests_total", "deployment, version", d), "{{deployment}} {{version}}")]),
        panel("Failures", "By error code; each has a page (`tidemill explain`).", "reqps", [(rate("tidemill_serving_errors_total", "code", d), "{{code}}")]),
        panel("Latency", "Of one request.", "s", [(quantile(q, "tidemill_serving_request_seconds", "", d), f"{q:.0%}") for q in (0.5, 0.95, 0.99)], thresholds=steps(0.05, 0.5)),
        row("Predictions"),
        panel("Predictions", "Rows, by model and status of the feature read.", "rowsps", [(rate("tidemill_serving_predictions_total", "version, status", d), "{{version}} {{status}}")]),
        panel("Scores", "How the scores spread. A shape that shifts without a new model is drift.", "percentunit", [(f"sum by (le) (increase(tidemill_serving_score_probability_bucket{d}[$__rate_interval]))", "{{le}}")], "heatmap"),
        panel("Mean score and alerted share", "By model.", "percentunit", [(f"sum by (version) (rate(tidemill_serving_score_probability_sum{d}[$__rate_interval])) / sum by (version) (rate(tidemill_serving_score_probability_count{d}[$__rate_interval]))", "mean score {{version}}"), (f"sum by (version) (rate(tidemill_serving_alerted_predictions_total{d}[$__rate_interval])) / sum by (version) (rate(tidemill_serving_predictions_total{d}[$__rate_interval]))", "alerted {{version}}")]),
        row("Prediction log and models"),
        panel("Waiting to be logged", "In memory and on disk. Requests are refused when memory is full.", "short", [(f"tidemill_serving_log_buffered_rows{d}", "memory {{deployment}}"), (f"tidemill_serving_log_spooled_rows{d}", "disk {{deployment}}")]),
        panel("Answered and logged", "Rows a second; the two lines are the same but for the delay of the log.", "rowsps", [(rate("tidemill_serving_predictions_total", "deployment", d), "answered {{deployment}}"), (rate("tidemill_monitoring_logged_predictions_total", "deployment", d), "logged {{deployment}}")]),
        panel("Models loaded and refused", "What the aliases led to. A refused champion leaves the old one in service.", "short", [(f"sum by (alias, outcome) (increase(tidemill_serving_model_loads_total{d}[$__rate_interval]))", "{{alias}} {{outcome}}")]),
    ]
    deployments = variable("deployment", "Deployment", "label_values(tidemill_serving_champion_since_seconds, deployment)")
    return dashboard("serving", "Tidemill: serving", "Are predictions answered, how fast, by which model, and are they logged?", [deployments], panels)


def model():
    d = '{deployment=~"$deployment"}'
    w = '{deployment=~"$deployment", window=~"$window"}'
    legend = "{{deployment}} {{window}}"
    panels = [
        stat("AUC of the newest window", "Area under the ROC curve on predictions whose outcome is known.", "none", f"min(tidemill_monitoring_roc_auc_ratio{w})", floor(0.6, 0.7), 3),
        stat("Below its reference", "How far the model is below what it reached before promotion.", "none", f"max(tidemill_monitoring_roc_auc_reference_ratio{w} - tidemill_monitoring_roc_auc_ratio{w})", steps(0.02, 0.05), 3),
        stat("Drifted features", "Share of features that drifted.", "percentunit", f"max(tidemill_monitoring_drifted_features_ratio{w})", steps(0.3, 0.6), 0),
        stat("PSI of the scores", "Population stability index; beyond 0.2 the scores have another shape than in training.", "none", f"max(tidemill_monitoring_score_psi_ratio{w})", steps(0.1, 0.2), 3),
        stat("Age of the champion", "Since the model in service became champion.", "s", f"time() - max(tidemill_serving_champion_since_seconds{d})", steps(40 * 86400, 90 * 86400)),
        stat("Alerts in 24 h", "Raised by monitoring.", "short", "sum(increase(tidemill_monitoring_alerts_total[24h]))", steps(1, 10), 0),
        row("Quality, by window of event time"),
        panel("AUC and its reference", "The reference is what the main model of the window reached before promotion.", "none", [(f"tidemill_monitoring_roc_auc_ratio{w}", "AUC " + legend), (f"tidemill_monitoring_roc_auc_reference_ratio{w}", "reference " + legend)], decimals=3),
        panel("KPI as served", "In the unit of the project file.", "none", [(f"tidemill_monitoring_kpi_units{w}", legend)]),
        panel("Outcomes known", "Share of predictions whose outcome has come: quality of a window with few of them says little.", "percentunit", [(f"tidemill_monitoring_outcome_coverage_ratio{w}", legend)], thresholds=floor(0.5, 0.9)),
        row("Drift and alerts"),
        panel("Drifted features", "Share of features whose window differs from training beyond chance and size.", "percentunit", [(f"tidemill_monitoring_drifted_features_ratio{w}", legend)]),
        panel("PSI of the scores", "Against the scores of the model on its own validation window.", "none", [(f"tidemill_monitoring_score_psi_ratio{w}", legend)], thresholds=steps(0.1, 0.2)),
        panel("Alerts", "By monitor.", "short", [("sum by (monitor) (increase(tidemill_monitoring_alerts_total[$__rate_interval]))", "{{monitor}}")]),
        panel("Outcomes joined", "Outcomes that met their prediction.", "rowsps", [(rate("tidemill_monitoring_joined_outcomes_total", "deployment", d), "{{deployment}}")]),
        panel("End of the newest window", "In event time: a replay runs ahead or behind the clock.", "dateTimeAsIso", [(f"tidemill_monitoring_window_end_seconds{w} * 1000", legend)]),
        panel("Refused log rows", "Logged predictions that could not be conformed.", "short", [(f"sum by (deployment) (increase(tidemill_monitoring_dead_letters_total{d}[$__rate_interval]))", "{{deployment}}")], thresholds=steps(1, 100)),
        panel("Lineage posted", "Runs told to the server of lineage.url: taken, refused for good, or failed and repeated.", "short", [("sum by (outcome) (increase(tidemill_monitoring_lineage_posts_total[$__rate_interval]))", "{{outcome}}")]),
        row("Training and verdicts"),
        panel("Retrainings asked for and ended", "Asked for by calendar or rule; ended with a candidate or not.", "short", [(f"sum by (deployment) (increase(tidemill_monitoring_retrain_requests_total{d}[$__rate_interval]))", "asked {{deployment}}"), ("sum by (outcome) (increase(tidemill_training_runs_total[$__rate_interval]))", "{{outcome}}")]),
        panel("Verdicts", "Promoted, refused, or failed to be judged.", "short", [("sum by (verdict) (increase(tidemill_evaluation_verdicts_total[$__rate_interval]))", "{{verdict}}")]),
        panel("Time of a run, a trial and a verdict", "Median.", "s", [(quantile(0.5, "tidemill_training_run_seconds", "project"), "run {{project}}"), (quantile(0.5, "tidemill_training_trial_seconds", "learner"), "trial {{learner}}"), (quantile(0.5, "tidemill_evaluation_judgement_seconds", "project"), "verdict {{project}}"), (quantile(0.5, "tidemill_feature_training_set_seconds", ""), "training set")]),
        panel("Trials", "By learner and outcome.", "short", [("sum by (learner, outcome) (increase(tidemill_training_trials_total[$__rate_interval]))", "{{learner}} {{outcome}}")]),
    ]
    variables = [
        variable("deployment", "Deployment", "label_values(tidemill_monitoring_window_end_seconds, deployment)"),
        variable("window", "Window", "label_values(tidemill_monitoring_window_end_seconds, window)"),
    ]
    return dashboard("model", "Tidemill: model health", "Is the model still good, what drifts, and what came of retraining?", variables, panels)


def platform():
    r = '{job=~"$role"}'
    legend = "{{job}} {{instance}}"
    panels = [
        stat("Processes up", "That answer the scrape.", "short", f"sum(up{r})", decimals=0),
        stat("Processes down", "That do not.", "short", f"count(up{r} == 0) or vector(0)", steps(1, 2), 0),
        stat("Memory", "Resident, of all processes.", "bytes", f"sum(tidemill_process_resident_bytes{r})"),
        stat("Processors", "Used by all processes, in cores.", "short", f"sum(rate(tidemill_process_cpu_seconds_total{r}[$__rate_interval]))", decimals=2),
        stat("Open files", "Largest number in one process.", "short", f"max(tidemill_process_open_files{r})", steps(800, 1000), 0),
        stat("Youngest process", "Time since the last start of any process: a small number again and again is a crash loop.", "s", f"min(tidemill_process_uptime_seconds{r})", floor(60, 300)),
        row("Processes"),
        panel("Up", "1 while the process answers.", "short", [(f"up{r}", legend)], thresholds=floor(1, 1)),
        panel("Memory", "Resident.", "bytes", [(f"tidemill_process_resident_bytes{r}", legend)]),
        panel("Processors", "Cores in use.", "short", [(f"rate(tidemill_process_cpu_seconds_total{r}[$__rate_interval])", legend)]),
        panel("Uptime", "A line that falls is a restart.", "s", [(f"tidemill_process_uptime_seconds{r}", legend)]),
        panel("Open files", "Connections and files of tables. The usual limit is 1,024.", "short", [(f"tidemill_process_open_files{r}", legend)], thresholds=steps(800, 1000)),
        panel("Threads", "Of the runtime, and those that compute.", "short", [(f"tidemill_process_threads{r}", legend)]),
    ]
    roles = variable("role", "Role", "label_values(up, job)")
    return dashboard("platform", "Tidemill: platform", "Do the processes run, and what do they use?", [roles], panels)


def main():
    wrong = []
    for made in (flow(), serving(), model(), platform()):
        path = FOLDER / f"{made['uid'].removeprefix('tidemill-')}.json"
        text = json.dumps(made, indent=2) + "\n"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            wrong.append(path.name)
    if wrong:
        sys.exit(f"{', '.join(wrong)} is not what dashboards.py writes: run python3 infra/grafana/dashboards.py")


if __name__ == "__main__":
    main()
