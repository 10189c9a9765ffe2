"""Every exception that oddsound raises.

    OddsoundError               exit code 1
    ├── ConfigError             2  a command line, a setting or a YAML file is wrong
    ├── DataError               3  what is on disk is not what it should be
    │   ├── FileNameError       a path that is not a recording of a known layout
    │   ├── RecordingError      a recording that can't be used: rate, channels, length, NaN
    │   ├── DownloadError       an archive that can't be fetched, or isn't what its record says it is
    │   ├── ArchiveError        an archive that is damaged, or holds what mustn't be unpacked
    │   ├── CacheError          a feature cache that is damaged or belongs to other data
    │   ├── BundleError         a trial bundle that is incomplete or damaged
    │   ├── WeightsError        a file of pretrained weights that can't be used
    │   ├── ModelError          a packaged model that is damaged, edited, or of another kind
    │   ├── ScoreError          scores that no metric may be computed from
    │   └── SubmissionError     a submission package that the organisers would refuse
    ├── TrackingError           4  MLflow can't be reached or answered with an error
    │   └── AccessError         4  MLflow doesn't let us in
    ├── TrialError              5  one trial can't go on
    ├── SearchError             5  a search ended with failed trials
    └── Interrupted             130  stopped by the user; the same command goes on

Each message is one line: what is wrong, where, and what to do about it.
"""


class OddsoundError(Exception):
    """The root of the tree; `exit_code` is what the command line exits with."""

    exit_code = 1


class ConfigError(OddsoundError):
    exit_code = 2


class DataError(OddsoundError):
    exit_code = 3


class FileNameError(DataError):
    pass


class RecordingError(DataError):
    pass


class DownloadError(DataError):
    pass


class ArchiveError(DataError):
    pass


class CacheError(DataError):
    pass


class BundleError(DataError):
    pass


class WeightsError(DataError):
    pass


class ModelError(DataError):
    pass


class ScoreError(DataError):
    pass


class SubmissionError(DataError):
    pass


class TrackingError(OddsoundError):
    exit_code = 4


class AccessError(TrackingError):
    pass


class TrialError(OddsoundError):
    exit_code = 5


class SearchError(OddsoundError):
    exit_code = 5


class Interrupted(OddsoundError):
    exit_code = 130
