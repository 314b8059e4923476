"""Drives a running emulator with AWS's own clients and checks every answer.

boto3 and the `aws` program use the HTTP API; awsiotsdk (V1 and V2, MQTT 3.1.1 and 5) connects by
mutual TLS, as a device would. The arguments are the values of the emulator's ready line. Prints one
line per check that fails and at the end `N passed, N failed`; the exit code is 0 if none failed.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import traceback
import uuid

import boto3
from awscrt import mqtt
from awscrt.mqtt_request_response import ClientOptions, SubscriptionStatusEventType
from awsiot import ServiceStreamOptions, V2ServiceException, iotjobs
from awsiot import mqtt5_client_builder, mqtt_connection_builder
from botocore.config import Config
from botocore.exceptions import ClientError

# How long a client may wait for one answer, in seconds. Only a failure takes that long.
PATIENCE_S = 20

PASSED = []
FAILED = []


def check(name, condition, detail=""):
    """Counts one check."""
    if condition:
        PASSED.append(name)
    else:
        FAILED.append(name)
        print(f"FAILED {name}: {detail}", flush=True)


def equal(name, got, wanted):
    check(name, got == wanted, f"got {got!r}, wanted {wanted!r}")


def section(name, run, *arguments):
    """Runs a part; an exception is one failed check and does not stop the other parts."""
    before = len(PASSED)
    try:
        run(*arguments)
    except Exception as error:  # noqa: BLE001: a part may fail in any way
        traceback.print_exc(file=sys.stdout)
        check(f"{name} runs to its end", False, repr(error))
    print(f"{name}: {len(PASSED) - before} passed", flush=True)


class Clients:
    """boto3 clients for both planes, with credentials that only have to exist."""

    def __init__(self, http):
        url = f"http://{http}"
        common = {
            "endpoint_url": url,
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "config": Config(retries={"max_attempts": 1}),
        }
        self.url = url
        self.iot = boto3.client("iot", **common)
        self.data = boto3.client("iot-jobs-data", **common)

    def thing(self, prefix):
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        return name, self.iot.create_thing(thingName=name)["thingArn"]

    def job(self, arn, **more):
        job_id = f"job-{uuid.uuid4().hex[:8]}"
        document = json.dumps({"operation": "reboot", "for": job_id})
        self.iot.create_job(jobId=job_id, targets=[arn], document=document, **more)
        return job_id


def error_code(call, **arguments):
    """The exception name a boto3 call ends with, or what it returned."""
    try:
        return call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]


def with_boto3(clients):
    iot, data = clients.iot, clients.data
    thing, arn = clients.thing("boto")
    equal("describe_thing", iot.describe_thing(thingName=thing)["thingArn"], arn)
    check("list_things", thing in [t["thingName"] for t in iot.list_things()["things"]])

    job = clients.job(arn, description="a job", timeoutConfig={"inProgressTimeoutInMinutes": 5})
    described = iot.describe_job(jobId=job)["job"]
    equal("describe_job id", described["jobId"], job)
    equal("describe_job targets", described["targets"], [arn])
    equal("describe_job status", described["status"], "IN_PROGRESS")
    equal("describe_job counts", described["jobProcessDetails"]["numberOfQueuedThings"], 1)
    check("describe_job has a time", described["createdAt"].year > 2000)
    document = json.loads(iot.get_job_document(jobId=job)["document"])
    equal("get_job_document", document["for"], job)
    jobs = [j["jobId"] for page in iot.get_paginator("list_jobs").paginate() for j in page["jobs"]]
    check("list_jobs", job in jobs, jobs)
    listed = iot.list_job_executions_for_job(jobId=job)["executionSummaries"]
    equal("list_job_executions_for_job", [e["thingArn"] for e in listed], [arn])
    listed = iot.list_job_executions_for_thing(thingName=thing)["executionSummaries"]
    equal("list_job_executions_for_thing", [e["jobId"] for e in listed], [job])

    pending = data.get_pending_job_executions(thingName=thing)
    equal("data: pending", [e["jobId"] for e in pending["queuedJobs"]], [job])
    following = data.describe_job_execution(thingName=thing, jobId="$next", includeJobDocument=True)
    equal("data: $next", following["execution"]["jobId"], job)
    equal("data: document is text", json.loads(following["execution"]["jobDocument"])["for"], job)
    started = data.start_next_pending_job_execution(
        thingName=thing, statusDetails={"step": "1"}
    )["execution"]
    equal("data: started", (started["status"], started["versionNumber"]), ("IN_PROGRESS", 2))
    wrong = error_code(
        data.update_job_execution, thingName=thing, jobId=job, status="SUCCEEDED", expectedVersion=9
    )
    # The service model of the data plane has no exception for a version conflict of its own.
    check("data: wrong version is refused", isinstance(wrong, str), wrong)
    updated = data.update_job_execution(
        thingName=thing, jobId=job, status="SUCCEEDED", includeJobExecutionState=True
    )
    equal("data: updated", updated["executionState"]["status"], "SUCCEEDED")
    seen = iot.describe_job_execution(thingName=thing, jobId=job)["execution"]
    equal("describe_job_execution", seen["status"], "SUCCEEDED")
    equal("job completed", iot.describe_job(jobId=job)["job"]["status"], "COMPLETED")

    running = clients.job(arn)
    data.start_next_pending_job_execution(thingName=thing)
    refused = error_code(iot.cancel_job_execution, thingName=thing, jobId=running)
    equal("cancel without force", refused, "InvalidStateTransitionException")
    iot.cancel_job_execution(thingName=thing, jobId=running, force=True)
    seen = iot.describe_job_execution(thingName=thing, jobId=running)["execution"]
    equal("cancel with force", (seen["status"], seen["forceCanceled"]), ("CANCELED", True))
    queued = clients.job(arn)
    iot.cancel_job(jobId=queued, reasonCode="TEST", comment="not needed")
    seen = iot.describe_job(jobId=queued)["job"]
    equal("cancel_job", (seen["status"], seen["reasonCode"]), ("CANCELED", "TEST"))
    iot.delete_job(jobId=queued)
    gone = error_code(iot.describe_job, jobId=queued)
    equal("delete_job", gone, "ResourceNotFoundException")
    again = error_code(iot.create_job, jobId=job, targets=[arn], document='{"other": 1}')
    equal("create_job again", again, "ResourceAlreadyExistsException")
    unknown = error_code(
        iot.create_job, jobId="j-unknown", targets=[arn + "-no"], document="{}"
    )
    equal("create_job for nobody", unknown, "ResourceNotFoundException")
    unsupported = error_code(iot.list_policies)
    equal("an operation we lack", unsupported, "UnsupportedOperationException")
    endpoint = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    check("describe_endpoint is a bare host", ":" not in endpoint and "/" not in endpoint, endpoint)


def with_cli(clients):
    program = os.path.join(os.path.dirname(sys.executable), "aws")
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",
    }

    def aws(*arguments):
        done = subprocess.run(
            [program, "--endpoint-url", clients.url, "--output", "json", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        return done.returncode, answer, done.stderr

    thing, job = f"cli-{uuid.uuid4().hex[:8]}", f"job-{uuid.uuid4().hex[:8]}"
    code, made, error = aws("iot", "create-thing", "--thing-name", thing)
    equal("cli create-thing", (code, made.get("thingName")), (0, thing))
    create = ("iot", "create-job", "--job-id", job, "--targets", made.get("thingArn", error))
    code, made, error = aws(*create, "--document", '{"operation": "reboot"}')
    equal("cli create-job", (code, made.get("jobId")), (0, job))
    code, seen, error = aws("iot", "describe-job", "--job-id", job)
    equal("cli describe-job", (code, seen.get("job", {}).get("status")), (0, "IN_PROGRESS"))
    code, seen, error = aws("iot", "list-jobs", "--status", "IN_PROGRESS")
    check("cli list-jobs", job in [j["jobId"] for j in seen.get("jobs", [])], error)
    code, seen, error = aws(
        "iot-jobs-data", "describe-job-execution", "--thing-name", thing, "--job-id", "$next"
    )
    equal("cli $next", (code, seen.get("execution", {}).get("jobId")), (0, job))
    code, seen, error = aws(
        "iot-jobs-data", "start-next-pending-job-execution", "--thing-name", thing
    )
    equal("cli start-next", seen.get("execution", {}).get("status"), "IN_PROGRESS")
    code, _, error = aws("iot", "delete-job", "--job-id", job)
    check("cli delete-job", code != 0 and "InvalidStateTransitionException" in error, error)
    code, _, error = aws("iot", "cancel-job", "--job-id", job, "--force")
    equal("cli cancel-job --force", code, 0)
    code, _, error = aws("iot", "delete-job", "--job-id", job)
    equal("cli delete-job", (code, error), (0, ""))
    code, _, error = aws("iot", "describe-job", "--job-id", job)
    check("cli describe-job", code != 0 and "ResourceNotFoundException" in error, error)
    code, _, error = aws("iot", "list-policies")
    check("cli unsupported", code != 0 and "no operation of this emulator" in error, error)


def make_certificate(clients, thing, folder):
    """A certificate for one thing, by the HTTP API; returns the paths of certificate and key."""
    made = clients.iot.create_keys_and_certificate(setAsActive=True)
    clients.iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    paths = os.path.join(folder, f"{thing}.pem"), os.path.join(folder, f"{thing}.key")
    for path, text in zip(paths, (made["certificatePem"], made["keyPair"]["PrivateKey"])):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
    return paths


class V1Replies:
    """Callbacks of the V1 client put what arrives into one queue per topic kind."""

    def __init__(self):
        self.queues = {}

    def into(self, name):
        self.queues[name] = queue.Queue()
        return self.queues[name].put

    def take(self, name):
        return self.queues[name].get(timeout=PATIENCE_S)


def subscribe_v1(jobs, thing, job, replies):
    """All subscriptions of the documented flow."""
    qos = mqtt.QoS.AT_LEAST_ONCE
    name = {"thing_name": thing}
    pending = iotjobs.GetPendingJobExecutionsSubscriptionRequest(**name)
    start = iotjobs.StartNextPendingJobExecutionSubscriptionRequest(**name)
    describe = iotjobs.DescribeJobExecutionSubscriptionRequest(**name, job_id="$next")
    update = iotjobs.UpdateJobExecutionSubscriptionRequest(**name, job_id=job)
    changed = iotjobs.JobExecutionsChangedSubscriptionRequest(**name)
    following = iotjobs.NextJobExecutionChangedSubscriptionRequest(**name)
    subscribed = [
        jobs.subscribe_to_get_pending_job_executions_accepted(pending, qos, replies.into("get")),
        jobs.subscribe_to_start_next_pending_job_execution_accepted(
            start, qos, replies.into("start")
        ),
        jobs.subscribe_to_describe_job_execution_accepted(describe, qos, replies.into("describe")),
        jobs.subscribe_to_update_job_execution_accepted(update, qos, replies.into("update")),
        jobs.subscribe_to_update_job_execution_rejected(update, qos, replies.into("rejected")),
        jobs.subscribe_to_job_executions_changed_events(changed, qos, replies.into("notify")),
        jobs.subscribe_to_next_job_execution_changed_events(
            following, qos, replies.into("notify-next")
        ),
    ]
    for future, _topic in subscribed:
        future.result(PATIENCE_S)


def with_sdk_v1(clients, arguments, folder):
    thing, arn = clients.thing("sdk1")
    certificate, key = make_certificate(clients, thing, folder)
    host, port = arguments.mqtts.rsplit(":", 1)
    connection = mqtt_connection_builder.mtls_from_path(
        endpoint=host,
        port=int(port),
        cert_filepath=certificate,
        pri_key_filepath=key,
        ca_filepath=arguments.ca,
        client_id=thing,
        clean_session=False,
        keep_alive_secs=30,
    )
    connected = connection.connect().result(PATIENCE_S)
    equal("v1 new session", connected["session_present"], False)
    jobs = iotjobs.IotJobsClient(connection)
    first = clients.job(arn)
    replies = V1Replies()
    subscribe_v1(jobs, thing, first, replies)
    qos = mqtt.QoS.AT_LEAST_ONCE

    request = iotjobs.GetPendingJobExecutionsRequest(thing_name=thing, client_token="t-get")
    jobs.publish_get_pending_job_executions(request, qos).result(PATIENCE_S)
    got = replies.take("get")
    equal("v1 get", [e.job_id for e in got.queued_jobs], [first])
    equal("v1 token", got.client_token, "t-get")
    request = iotjobs.DescribeJobExecutionRequest(thing_name=thing, job_id="$next")
    jobs.publish_describe_job_execution(request, qos).result(PATIENCE_S)
    equal("v1 $next", replies.take("describe").execution.job_document["for"], first)
    second = clients.job(arn)
    listed = replies.take("notify").jobs
    equal("v1 notify", [e.job_id for e in listed["QUEUED"]], [first, second])

    request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=thing)
    jobs.publish_start_next_pending_job_execution(request, qos).result(PATIENCE_S)
    started = replies.take("start").execution
    equal("v1 start-next", (started.job_id, started.status), (first, "IN_PROGRESS"))

    def update(**fields):
        request = iotjobs.UpdateJobExecutionRequest(thing_name=thing, job_id=first, **fields)
        jobs.publish_update_job_execution(request, qos).result(PATIENCE_S)

    update(status="IN_PROGRESS", status_details={"progress": "50"}, client_token="t-up")
    equal("v1 update", replies.take("update").client_token, "t-up")
    update(status="IN_PROGRESS", expected_version=99)
    equal("v1 wrong version", replies.take("rejected").code, "VersionMismatch")
    update(status="SUCCEEDED")
    replies.take("update")
    equal("v1 notify-next", replies.take("notify-next").execution.job_id, second)
    update(status="FAILED")
    equal("v1 update of a finished one", replies.take("rejected").code, "InvalidStateTransition")

    connection.disconnect().result(PATIENCE_S)
    clients.iot.cancel_job(jobId=second)
    resumed = connection.connect().result(PATIENCE_S)
    equal("v1 resumes its session", resumed["session_present"], True)
    check("v1 was told while away", replies.take("notify-next").execution is None)
    connection.disconnect().result(PATIENCE_S)


def build_v5(arguments, thing, certificate, key):
    """An MQTT 5 client that is connected, and a queue of its lifecycle events."""
    host, port = arguments.mqtts.rsplit(":", 1)
    events = queue.Queue()
    client = mqtt5_client_builder.mtls_from_path(
        endpoint=host,
        port=int(port),
        cert_filepath=certificate,
        pri_key_filepath=key,
        ca_filepath=arguments.ca,
        client_id=thing,
        on_lifecycle_connection_success=lambda data: events.put("connected"),
        on_lifecycle_connection_failure=lambda data: events.put(data.exception),
        on_lifecycle_stopped=lambda data: events.put("stopped"),
    )
    client.start()
    return client, events


def with_sdk_v2(clients, arguments, folder):
    thing, arn = clients.thing("sdk2")
    certificate, key = make_certificate(clients, thing, folder)
    protocol, events = build_v5(arguments, thing, certificate, key)
    equal("v2 connects by MQTT 5", events.get(timeout=PATIENCE_S), "connected")
    jobs = iotjobs.IotJobsClientV2(
        protocol,
        ClientOptions(
            max_request_response_subscriptions=4,
            max_streaming_subscriptions=2,
            operation_timeout_in_seconds=PATIENCE_S,
        ),
    )
    streams, told, statuses = [], {"changed": queue.Queue(), "next": queue.Queue()}, queue.Queue()
    for name, create, request in (
        (
            "changed",
            jobs.create_job_executions_changed_stream,
            iotjobs.JobExecutionsChangedSubscriptionRequest(thing_name=thing),
        ),
        (
            "next",
            jobs.create_next_job_execution_changed_stream,
            iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=thing),
        ),
    ):
        options = ServiceStreamOptions(
            incoming_event_listener=told[name].put,
            subscription_status_listener=lambda event: statuses.put(event.type),
        )
        stream = create(request, options)
        stream.open()
        streams.append(stream)
    for _ in streams:
        established = SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
        equal("v2 stream is subscribed", statuses.get(timeout=PATIENCE_S), established)

    def refused(call, request):
        try:
            call(request).result(PATIENCE_S)
        except V2ServiceException as error:
            return error.modeled_error.code if error.modeled_error else error
        return "accepted"

    job = clients.job(arn)
    equal("v2 notify-next", told["next"].get(timeout=PATIENCE_S).execution.job_id, job)
    listed = told["changed"].get(timeout=PATIENCE_S).jobs
    equal("v2 notify", [e.job_id for e in listed["QUEUED"]], [job])
    request = iotjobs.GetPendingJobExecutionsRequest(thing_name=thing)
    pending = jobs.get_pending_job_executions(request).result(PATIENCE_S)
    equal("v2 get", [e.job_id for e in pending.queued_jobs], [job])
    request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=thing)
    started = jobs.start_next_pending_job_execution(request).result(PATIENCE_S).execution
    equal("v2 start-next", (started.job_id, started.status), (job, "IN_PROGRESS"))
    request = iotjobs.DescribeJobExecutionRequest(
        thing_name=thing, job_id="$next", include_job_document=True
    )
    described = jobs.describe_job_execution(request).result(PATIENCE_S).execution
    equal("v2 $next", described.job_document["for"], job)

    def update(**fields):
        return iotjobs.UpdateJobExecutionRequest(thing_name=thing, job_id=job, **fields)

    call = jobs.update_job_execution
    call(update(status="IN_PROGRESS", status_details={"progress": "50"})).result(PATIENCE_S)
    wrong = refused(call, update(status="IN_PROGRESS", expected_version=99))
    equal("v2 wrong version", wrong, "VersionMismatch")
    call(update(status="SUCCEEDED")).result(PATIENCE_S)
    check("v2 idle", told["next"].get(timeout=PATIENCE_S).execution is None)
    over = refused(call, update(status="FAILED"))
    equal("v2 update of a finished one", over, "InvalidStateTransition")
    missing = iotjobs.DescribeJobExecutionRequest(thing_name=thing, job_id="no-such-job")
    equal("v2 unknown job", refused(jobs.describe_job_execution, missing), "ResourceNotFound")

    foreign = iotjobs.GetPendingJobExecutionsRequest(thing_name="somebody-else")
    try:
        jobs.get_pending_job_executions(foreign).result(PATIENCE_S)
        check("v2 another thing is refused", False, "accepted")
    except V2ServiceException as error:
        check("v2 another thing is refused", error.modeled_error is None, error.modeled_error)
    protocol.stop()


def with_ready_made_certificate(clients, arguments):
    """The certificate on the ready line acts for any thing."""
    host, port = arguments.mqtts.rsplit(":", 1)
    connection = mqtt_connection_builder.mtls_from_path(
        endpoint=host,
        port=int(port),
        cert_filepath=arguments.cert,
        pri_key_filepath=arguments.key,
        ca_filepath=arguments.ca,
        client_id=f"ready-{uuid.uuid4().hex[:8]}",
        clean_session=True,
    )
    connection.connect().result(PATIENCE_S)
    jobs = iotjobs.IotJobsClient(connection)
    for prefix in ("any1", "any2"):
        thing, _arn = clients.thing(prefix)
        replies = V1Replies()
        request = iotjobs.GetPendingJobExecutionsSubscriptionRequest(thing_name=thing)
        future, _topic = jobs.subscribe_to_get_pending_job_executions_accepted(
            request, mqtt.QoS.AT_LEAST_ONCE, replies.into("get")
        )
        future.result(PATIENCE_S)
        request = iotjobs.GetPendingJobExecutionsRequest(thing_name=thing)
        sent = jobs.publish_get_pending_job_executions(request, mqtt.QoS.AT_LEAST_ONCE)
        sent.result(PATIENCE_S)
        equal("ready-made certificate", replies.take("get").queued_jobs, [])
    connection.disconnect().result(PATIENCE_S)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("http", "mqtts", "ca", "cert", "key"):
        parser.add_argument(f"--{name}", required=True, help=f"`{name}` of the ready line")
    parser.add_argument("--mqtt", help="`mqtt` of the ready line (not used by these clients)")
    arguments = parser.parse_args()
    clients = Clients(arguments.http)
    # Where the emulator keeps its own keys: goes away with them.
    folder = os.path.dirname(arguments.key)
    section("boto3", with_boto3, clients)
    section("aws", with_cli, clients)
    section("awsiotsdk V1", with_sdk_v1, clients, arguments, folder)
    section("awsiotsdk V2", with_sdk_v2, clients, arguments, folder)
    section("ready-made certificate", with_ready_made_certificate, clients, arguments)
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    sys.stdout.flush()
    # The SDK's threads may outlive a failed part; the verdict does not wait for them.
    os._exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
