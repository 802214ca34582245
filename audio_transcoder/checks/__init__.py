"""System checks: settings that are wrong or contradict each other stop the start with a hint.

Nothing here calls out.

E001 TRANSCODER_ENDPOINT_URL is Amazon's     E008 the lease of a job
E002 an address is no http(s) address        E009 SNS_TOPIC_ARN
E003 TRANSCODER_ENGINE                       E010 SNS_SIGNATURE_VERSIONS
E004 STATIC_ON_S3 without what it needs      E011 TRANSCODER_TOPICS
E005 AWS_S3_ADDRESSING_STYLE                 E012 storage locations
E006 a number that must be positive          E013 PORT
E007 a number that must not be negative

With TRANSCODER_ENGINE=mediaconvert:
E020 no bucket on S3                         E023 a store that is not Amazon's
E021 MEDIACONVERT_ROLE_ARN                   E024 MEDIACONVERT_ENV
E022 MEDIACONVERT_QUEUE_ARN

E050 two homes for people's files            E053 what needs S3 is on without it
E051 MEDIA_STORAGE_BACKEND and its options   E054 CLOUDFRONT_…
E052 where its links lead                    E055 AWS_QUERYSTRING_EXPIRE beyond a week
                                             E056 ACCEL_REDIRECT_PREFIX

W001 DEBUG on a public site                  W003 mail is required and goes nowhere
W002 our own notices would be refused        W020 no topic for MediaConvert's events
W030 pages on https, their bucket on http    W050 a setting that does nothing by itself
W035 the packages of npm are missing         W060 EMAIL_URL with what nobody reads
                                             W061 all visitors have the proxy's address
"""

from audio_transcoder.checks import (  # noqa: F401 - they register themselves
    addresses,
    engine,
    notices,
    numbers,
    pages,
    storage,
)
