"""Operational facts that ship with Python and Linux, grouped into families. It words no question and makes no split.

Only names whose values are the same in Python 3.11 to 3.13 are listed, so that the dataset is the same on every Linux machine with glibc.
"""

from __future__ import annotations

import errno
import http
import logging.handlers
import mimetypes
import os
import resource
import signal
import ssl
from dataclasses import dataclass

SERVICES = {
    "ssh": 22, "telnet": 23, "smtp": 25, "whois": 43, "tacacs": 49, "domain": 53, "tftp": 69, "gopher": 70, "finger": 79, "http": 80,
    "kerberos": 88, "pop3": 110, "sunrpc": 111, "nntp": 119, "ntp": 123, "epmap": 135, "imap2": 143, "snmp": 161, "xdmcp": 177, "bgp": 179,
    "z3950": 210, "ldap": 389, "https": 443, "microsoft-ds": 445, "kpasswd": 464, "isakmp": 500, "printer": 515, "route": 520, "uucp": 540,
    "rtsp": 554, "nntps": 563, "submission": 587, "ipp": 631, "ldaps": 636, "tinc": 655, "silc": 706, "kerberos-adm": 749, "rsync": 873,
    "ftps": 990, "telnets": 992, "imaps": 993, "pop3s": 995, "socks": 1080, "rmiregistry": 1099, "openvpn": 1194, "ms-sql-s": 1433,
    "l2f": 1701, "radius": 1812, "nfs": 2049, "cvspserver": 2401, "gpsd": 2947, "icpv2": 3130, "mysql": 3306, "nut": 3493, "distcc": 3632,
    "daap": 3689, "svn": 3690, "sieve": 4190, "epmd": 4369, "iax": 4569, "munin": 4949, "sip": 5060, "xmpp-client": 5222, "mdns": 5353,
    "postgresql": 5432, "amqp": 5672, "x11": 6000, "redis": 6379, "sge-qmaster": 6444, "syslog-tls": 6514, "ircd": 6667, "babel": 6696,
    "puppet": 8140, "git": 9418, "webmin": 10000, "zabbix-agent": 10050, "amanda": 10080, "nbd": 10809, "hkp": 11371,
}  # fmt: skip

_HTTP_CODES = (
    100, 101, 102, 103, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405,
    406, 407, 408, 409, 410, 411, 412, 415, 417, 421, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508,
    510, 511,
)  # fmt: skip

_ERRNO_NAMES = (
    "EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "ENOEXEC", "EBADF", "ECHILD", "EAGAIN", "ENOMEM", "EACCES", "EFAULT",
    "ENOTBLK", "EBUSY", "EEXIST", "EXDEV", "ENODEV", "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE", "ENOTTY", "ETXTBSY", "EFBIG",
    "ENOSPC", "ESPIPE", "EROFS", "EMLINK", "EPIPE", "EDOM", "ERANGE", "EDEADLK", "ENAMETOOLONG", "ENOLCK", "ENOSYS", "ENOTEMPTY", "ELOOP",
    "ENOMSG", "EIDRM", "ENODATA", "ETIME", "ENOSR", "ENOLINK", "EPROTO", "EBADMSG", "EOVERFLOW", "EILSEQ", "EUSERS", "ENOTSOCK",
    "EDESTADDRREQ", "EMSGSIZE", "EPROTOTYPE", "ENOPROTOOPT", "EPROTONOSUPPORT", "EADDRINUSE", "EADDRNOTAVAIL", "ENETDOWN", "ENETUNREACH",
    "ENETRESET", "ECONNABORTED", "ECONNRESET", "ENOBUFS", "EISCONN", "ENOTCONN", "ESHUTDOWN", "ETIMEDOUT", "ECONNREFUSED", "EHOSTDOWN",
    "EHOSTUNREACH", "EALREADY", "EINPROGRESS", "ESTALE", "EDQUOT", "ECANCELED", "EOWNERDEAD",
)  # fmt: skip

_SIGNAL_NAMES = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2",
    "SIGPIPE", "SIGALRM", "SIGTERM", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ",
    "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
)  # fmt: skip

_EXIT_NAMES = (
    "EX_USAGE", "EX_DATAERR", "EX_NOINPUT", "EX_NOUSER", "EX_NOHOST", "EX_UNAVAILABLE", "EX_SOFTWARE", "EX_OSERR", "EX_OSFILE",
    "EX_CANTCREAT", "EX_IOERR", "EX_TEMPFAIL", "EX_PROTOCOL", "EX_NOPERM", "EX_CONFIG",
)  # fmt: skip

_SUFFIXES = (
    ".avi", ".bin", ".bmp", ".css", ".csv", ".doc", ".dvi", ".gif", ".h5", ".html", ".ico", ".jpeg", ".json", ".latex", ".mht", ".mov",
    ".mp3", ".mp4", ".opus", ".pdf", ".png", ".pyc", ".rgb", ".sgml", ".sh", ".svg", ".swf", ".tar", ".tcl", ".tiff", ".tsv", ".txt",
    ".vcf", ".wasm", ".wav", ".webm", ".xls", ".xml", ".zip",
)  # fmt: skip

_ALERTS = (
    "CLOSE_NOTIFY", "UNEXPECTED_MESSAGE", "BAD_RECORD_MAC", "RECORD_OVERFLOW", "DECOMPRESSION_FAILURE", "HANDSHAKE_FAILURE",
    "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED", "CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN",
    "ILLEGAL_PARAMETER", "UNKNOWN_CA", "ACCESS_DENIED", "DECODE_ERROR", "DECRYPT_ERROR", "PROTOCOL_VERSION", "INSUFFICIENT_SECURITY",
    "INTERNAL_ERROR", "USER_CANCELLED", "NO_RENEGOTIATION", "UNSUPPORTED_EXTENSION", "UNRECOGNIZED_NAME", "UNKNOWN_PSK_IDENTITY",
)  # fmt: skip

_FACILITIES = (
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp", "local0", "local1", "local2",
    "local3", "local4", "local5",
)  # fmt: skip

_LIMITS = (
    "AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING",
    "STACK",
)  # fmt: skip


@dataclass(frozen=True)
class Entity:
    """One thing that facts are about: `values` maps an attribute to its value."""

    family: str
    name: str
    values: dict[str, str]


def all_entities() -> list[Entity]:
    """Every entity, in a fixed order."""
    return [*_services(), *_http(), *_errors(), *_signals(), *_exits(), *_types(), *_alerts(), *_facilities(), *_limits()]


def _services() -> list[Entity]:
    return [Entity("service", name, {"port": str(port)}) for name, port in SERVICES.items()]


def _http() -> list[Entity]:
    return [Entity("http", str(code), {"phrase": http.HTTPStatus(code).phrase}) for code in _HTTP_CODES]


def _errors() -> list[Entity]:
    numbers = {name: int(getattr(errno, name)) for name in _ERRNO_NAMES}
    return [Entity("errno", name, {"number": str(number), "message": os.strerror(number)}) for name, number in numbers.items()]


def _signals() -> list[Entity]:
    signals = [signal.Signals[name] for name in _SIGNAL_NAMES]
    return [Entity("signal", s.name, {"number": str(int(s)), "message": signal.strsignal(s) or s.name}) for s in signals]


def _exits() -> list[Entity]:
    return [Entity("exit", name, {"number": str(int(getattr(os, name)))}) for name in _EXIT_NAMES]


def _types() -> list[Entity]:
    known = mimetypes.MimeTypes(filenames=()).types_map[True]
    return [Entity("mime", suffix, {"type": known[suffix]}) for suffix in _SUFFIXES]


def _alerts() -> list[Entity]:
    alerts = {name: ssl.AlertDescription[f"ALERT_DESCRIPTION_{name}"] for name in _ALERTS}
    return [Entity("alert", name.lower(), {"number": str(int(alert))}) for name, alert in alerts.items()]


def _facilities() -> list[Entity]:
    numbers = logging.handlers.SysLogHandler.facility_names
    return [Entity("facility", name, {"number": str(numbers[name])}) for name in _FACILITIES]


def _limits() -> list[Entity]:
    return [Entity("limit", f"RLIMIT_{name}", {"number": str(int(getattr(resource, f"RLIMIT_{name}")))}) for name in _LIMITS]
