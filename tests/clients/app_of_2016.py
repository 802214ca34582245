# -*- coding: utf-8 -*-
"""
A podcast site's transcoding script, written as such scripts were in 2016.

It knows nothing of any other Elastic Transcoder than Amazon's. Usage:

    python app_of_2016.py PORT KEY [KEY ...]

Starts a job for each key in the input bucket, then listens on PORT for the notifications of SNS
until it is stopped. GET / shows all jobs.
"""
from __future__ import print_function

import json
import logging
import os
import sys

import boto3

try:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from urllib.request import urlopen
except ImportError:  # Python 2
    from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer
    from urllib2 import urlopen

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger(__name__)

REGION = 'us-east-1'
PIPELINE_NAME = 'Podcasts'

# http://docs.aws.amazon.com/elastictranscoder/latest/developerguide/system-presets.html
OUTPUTS = [
    # (extension, preset id)
    ('mp3', '1351620000001-300020'),   # Audio MP3 - 192k
    ('flac', '1351620000001-300110'),  # Audio FLAC - CD
    ('wav', '1351620000001-300300'),   # Audio WAV 44100 Hz, 16 bit
]

transcoder = boto3.client('elastictranscoder', REGION)

# job id -> {'state': ..., 'files': [...], 'error': ...}
jobs = {}


def get_pipeline_id(name):
    paginator = transcoder.get_paginator('list_pipelines')
    for page in paginator.paginate():
        for pipeline in page['Pipelines']:
            if pipeline['Name'] == name:
                return pipeline['Id']
    raise Exception('No pipeline named %s' % name)


def start_transcoding(key):
    basename = os.path.splitext(os.path.basename(key))[0]
    response = transcoder.create_job(
        PipelineId=get_pipeline_id(PIPELINE_NAME),
        Input={
            'Key': key,
            'FrameRate': 'auto',
            'Resolution': 'auto',
            'AspectRatio': 'auto',
            'Interlaced': 'auto',
            'Container': 'auto',
        },
        OutputKeyPrefix='episodes/%s/' % basename,
        Outputs=[
            {'Key': '%s.%s' % (basename, extension), 'PresetId': preset_id}
            for extension, preset_id in OUTPUTS
        ],
        UserMetadata={'episode': basename},
    )
    job = response['Job']
    jobs[job['Id']] = {'state': job['Status'].upper(), 'files': [], 'error': None}
    logger.info('Started job %s for %s', job['Id'], key)
    return job['Id']


def handle_sns(headers, body):
    """Called with headers and body of each POST from SNS, returns an HTTP status."""
    message_type = headers.get('x-amz-sns-message-type')
    notification = json.loads(body)

    if message_type == 'SubscriptionConfirmation':
        urlopen(notification['SubscribeURL']).read()
        return 200

    if message_type != 'Notification':
        return 400

    # The message is JSON inside of JSON.
    message = json.loads(notification['Message'])
    job = jobs.get(message['jobId'])
    if job is None:
        logger.warning('Unknown job %s', message['jobId'])
        return 200

    # SNS may send things twice, and in any order.
    if job['state'] in ('COMPLETED', 'ERROR'):
        return 200

    job['state'] = message['state']
    if message['state'] == 'COMPLETED':
        prefix = message.get('outputKeyPrefix', '')
        job['files'] = [prefix + output['key'] for output in message['outputs']]
    elif message['state'] == 'ERROR':
        job['error'] = message.get('messageDetails') or ', '.join(
            output['statusDetail'] for output in message['outputs']
            if output['status'] == 'Error'
        )
    logger.info('Job %s is now %s', message['jobId'], job['state'])
    return 200


class WebHandler(BaseHTTPRequestHandler):

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length'])).decode('utf-8')
        self.send_response(handle_sns(self.headers, body))
        self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.end_headers()
        self.wfile.write(json.dumps(jobs).encode('utf-8'))


if __name__ == '__main__':
    server = HTTPServer(('127.0.0.1', int(sys.argv[1])), WebHandler)
    for key in sys.argv[2:]:
        start_transcoding(key)
    server.serve_forever()
