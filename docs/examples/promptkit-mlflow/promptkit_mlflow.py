"""A promptkit plugin that logs every run to MLflow: its settings, every pass, its scores, and the prompt itself.

MLflow's own variables say where to: `MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME` (`promptkit` by default).
"""

from __future__ import annotations

import os

from promptkit import EpochInfo, RunInfo, RunOutcome, hookimpl

STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
opened: dict[str, str] = {}  # key of the run -> id of MLflow's


@hookimpl
def promptkit_run_started(run: RunInfo) -> None:
    """Open a run; one that was killed goes on in its own. MLflow is imported here so that listing stays quick."""
    import mlflow

    experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "promptkit")).experiment_id
    client = mlflow.MlflowClient()
    earlier = client.search_runs([experiment], f"tags.key = '{run.key}'", max_results=1) if run.resumed else []
    name = f"{run.strategy}, {run.shots or 'full'}, seed {run.seed}"
    found = earlier[0] if earlier else client.create_run(experiment, tags={"key": run.key}, run_name=name)
    opened[run.key] = found.info.run_id
    client.update_run(found.info.run_id, status="RUNNING")
    settings = {name: value for name, value in run.settings.items() if name != "strategy_options"}
    options = {f"option.{name}": value for name, value in run.settings["strategy_options"].items()}
    mlflow.log_params({**settings, **options}, run_id=found.info.run_id)


@hookimpl
def promptkit_epoch_ended(run: RunInfo, epoch: EpochInfo) -> None:
    """Log what a pass gave; dev is not scored after every one."""
    import mlflow

    told = {"loss": epoch.loss, "dev_accuracy": epoch.dev_accuracy, "dev_loss": epoch.dev_loss, "lr": epoch.lr}
    place = f"round{epoch.round}.template{epoch.template}" if epoch.round else f"template{epoch.template}"
    known = {f"{place}.{name}": value for name, value in told.items() if value is not None}
    mlflow.log_metrics(known, step=epoch.epoch, run_id=opened[run.key])


@hookimpl
def promptkit_run_ended(run: RunInfo, outcome: RunOutcome) -> None:
    """Log the scores and the files, and close the run with how it ended."""
    import mlflow

    client, number = mlflow.MlflowClient(), opened.pop(run.key, None)
    if number is None:
        return
    if outcome.failure:
        client.set_tag(number, "failure", outcome.failure)
    try:
        if outcome.record is not None:
            record = outcome.record
            # Texts have a perplexity in place of the accuracy, which is None.
            told = {
                f"{name}.{what}": getattr(getattr(record, name), what, None)
                for name in ("dev", "test")
                for what in ("accuracy", "perplexity")
            }
            scores = {name: value for name, value in told.items() if value is not None}
            cost = {"seconds": record.cost.seconds.total, "parameters": record.parameters.total}
            mlflow.log_metrics(scores | cost, run_id=number)
        for file in ("run.json", "prompt.safetensors") if outcome.directory else ():
            client.log_artifact(number, str(outcome.directory / file))
    finally:
        client.set_terminated(number, STATUS[outcome.status])
