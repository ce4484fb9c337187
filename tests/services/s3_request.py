#!/usr/bin/env python3
#
# s3_request.py ENDPOINT OPERATION NAME=VALUE...
#	  One request to S3 by boto3, with the keys of the environment; prints the
#	  status, and after it the version that the answer names.

import datetime
import os
import sys

os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
import boto3
import botocore.exceptions

endpoint, operation, *words = sys.argv[1:]
arguments = dict(word.split("=", 1) for word in words)
for key in ("BypassGovernanceRetention", "ObjectLockEnabledForBucket"):
    if key in arguments:
        arguments[key] = arguments[key] == "True"
if "Until" in arguments:
    arguments["Retention"] = {
        "Mode": "COMPLIANCE",
        "RetainUntilDate": datetime.datetime.fromisoformat(arguments.pop("Until")),
    }
client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
try:
    answer = getattr(client, operation)(**arguments)
except botocore.exceptions.ClientError as error:
    answer = error.response
headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
versions = [marker["VersionId"] for marker in answer.get("DeleteMarkers", [])]
print(answer["ResponseMetadata"]["HTTPStatusCode"],
      headers.get("x-amz-version-id", versions[0] if versions else ""))
