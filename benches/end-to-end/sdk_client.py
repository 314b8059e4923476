"""AWS's device SDK for Python as a Jobs client: the flow of its own sample, with a handler that
succeeds at once. Arguments: port and thing. Runs until it is killed."""

import sys
import threading

from awscrt import io, mqtt
from awsiot import iotjobs

# How long one answer may take, in seconds. Only a failure takes that long.
PATIENCE_S = 30
QOS = mqtt.QoS.AT_LEAST_ONCE


def main(port, thing):
    connection = mqtt.Connection(
        client=mqtt.Client(io.ClientBootstrap.get_or_create_static_default(), None),
        host_name="127.0.0.1",
        port=int(port),
        client_id=thing,
        clean_session=False,
        keep_alive_secs=60,
    )
    connection.connect().result(PATIENCE_S)
    jobs = iotjobs.IotJobsClient(connection)
    working = threading.Lock()

    def start_next():
        # One job at a time, as the sample does.
        if working.acquire(blocking=False):
            request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=thing)
            jobs.publish_start_next_pending_job_execution(request, QOS)

    def on_next_changed(event):
        if event.execution:
            start_next()

    def on_started(response):
        if not response.execution:
            working.release()
            return
        request = iotjobs.UpdateJobExecutionRequest(
            thing_name=thing, job_id=response.execution.job_id, status="SUCCEEDED"
        )
        jobs.publish_update_job_execution(request, QOS)

    def on_updated(_response):
        working.release()
        start_next()

    def on_rejected(error):
        print(f"rejected: {error.code}", file=sys.stderr)
        working.release()

    start = iotjobs.StartNextPendingJobExecutionSubscriptionRequest(thing_name=thing)
    update = iotjobs.UpdateJobExecutionSubscriptionRequest(thing_name=thing, job_id="+")
    changed = iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=thing)
    for future, _topic in (
        jobs.subscribe_to_next_job_execution_changed_events(changed, QOS, on_next_changed),
        jobs.subscribe_to_start_next_pending_job_execution_accepted(start, QOS, on_started),
        jobs.subscribe_to_start_next_pending_job_execution_rejected(start, QOS, on_rejected),
        jobs.subscribe_to_update_job_execution_accepted(update, QOS, on_updated),
        jobs.subscribe_to_update_job_execution_rejected(update, QOS, on_rejected),
    ):
        future.result(PATIENCE_S)
    start_next()
    threading.Event().wait()


main(*sys.argv[1:])
