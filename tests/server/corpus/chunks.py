"""Content in chunks: sizes, extensions, line ends and trailers (RFC 9112 §7.1)."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, THEN_BAD, Case, chunked

WHITE = "White space beside a size is in no grammar, and readers differ on whether the number ends there."
BWS = "No sender may write white space around an extension, and readers differ on what it ends."
EXTENSION = "A malformed extension is read to different ends by different readers."
LF = "A bare LF ends a line for some readers only."
LONG = "A size line is long only to cost its reader something."
DIGITS = "More than 16 digits are more than 64 bits to a reader that only counts them."
TINY = "Thousands of chunks of one byte cost more than their content is worth."
TRAILER = "A folded line is one field to some readers and two to others."
START = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def size(text: bytes) -> bytes:
    """Return a request with five bytes in a chunk of this size."""
    return chunked(text + b"\r\nhello\r\n0\r\n\r\n")


def end(text: bytes) -> bytes:
    """Return a request with this behind the line of the last chunk."""
    return chunked(b"5\r\nhello\r\n0\r\n" + text)


CASES = [
    # Chunks that are right
    Case("no chunk but the last", chunked(b"0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    Case("last chunk of many zeros", chunked(b"00000\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    Case("size with leading zeros", size(b"0005"), BOTH, BOTH, "9112 §7.1"),
    Case("size of 16 digits", size(b"0000000000000005"), BOTH, BOTH, "9112 §7.1"),
    Case("size in capitals", chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    Case("size in small letters", chunked(b"a\r\n0123456789\r\n0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    Case("size in mixed case", chunked(b"aA\r\n" + b"b" * 0xAA + b"\r\n0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    Case("many small chunks", chunked(b"1\r\nb\r\n" * 150 + b"0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    Case("chunk like the last one", chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    Case("chunk like a request", chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(NEXT), NEXT)), BOTH, BOTH, "9112 §7.1"),
    Case("chunk of all bytes", chunked(b"100\r\n" + bytes(range(256)) + b"\r\n0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
    # Extensions that are right
    Case("extension without a value", size(b"5;x"), BOTH, BOTH, "9112 §7.1.1"),
    Case("extension with a token", size(b"5;x=y"), BOTH, BOTH, "9112 §7.1.1"),
    Case("extension with a quoted value", size(b'5;x="y z"'), BOTH, BOTH, "9112 §7.1.1"),
    Case("extension with an empty quoted value", size(b'5;x=""'), BOTH, BOTH, "9112 §7.1.1"),
    Case("extension with quotes within its value", size(b'5;x="\\"\\\\;\xe4\t"'), BOTH, BOTH, "9110 §5.6.4"),
    Case("three extensions", size(b'5;x;y=1;z="2"'), BOTH, BOTH, "9112 §7.1.1"),
    Case("extension of the last chunk", chunked(b"5\r\nhello\r\n0;x=y\r\n\r\n"), BOTH, BOTH, "9112 §7.1.1"),
    # Sizes that are none
    Case("size that is empty", size(b""), BAD, BAD, "9112 §7.1"),
    Case("size of an extension alone", size(b";x=y"), BAD, BAD, "9112 §7.1"),
    Case("size with a prefix", size(b"0x5"), BAD, BAD, "9112 §7.1"),
    Case("size below zero", size(b"-1"), BAD, BAD, "9112 §7.1"),
    Case("size of minus zero", size(b"-0"), BAD, BAD, "9112 §7.1"),
    Case("size with a plus", size(b"+5"), BAD, BAD, "9112 §7.1"),
    Case("size with an underscore", size(b"0_5"), BAD, BAD, "9112 §7.1"),
    Case("size with a fraction", size(b"5.0"), BAD, BAD, "9112 §7.1"),
    Case("size beyond hexadecimal", size(b"g"), BAD, BAD, "9112 §7.1"),
    Case("size with a letter behind it", size(b"5h"), BAD, BAD, "9112 §7.1"),
    Case("size in quotes", size(b'"5"'), BAD, BAD, "9112 §7.1"),
    Case("size in Arabic digits", size("\u0665".encode()), BAD, BAD, "9112 §7.1"),
    Case("size with a NUL", size(b"5\0"), BAD, BAD, "9112 §7.1"),
    Case("size with a comma", size(b"5,x"), BAD, BAD, "9112 §7.1"),
    Case("size of two numbers", size(b"5 5"), BAD, BAD, "9112 §7.1"),
    Case("size behind a space", size(b" 5"), BAD, BAD, "9112 §7.1"),
    Case("size before a space", size(b"5 "), BAD, BOTH, "9112 §7.1", WHITE),
    Case("size before a tab", size(b"5\t"), BAD, BOTH, "9112 §7.1", WHITE),
    Case("last size before a space", chunked(b"0 \r\n\r\n"), BAD, BOTH, "9112 §7.1", WHITE),
    Case("size of 17 digits", size(b"00000000000000005"), BAD, BOTH, "9112 §7.1", DIGITS),
    Case("size of five and two to the 64th", size(b"10000000000000005"), BAD, BAD, "9112 §7.1"),
    Case("size of five and two to the 32nd", size(b"100000005"), BAD, BAD, "9112 §7.1"),
    Case("size of 64 bits that are set", size(b"FFFFFFFFFFFFFFFF"), BAD, BAD, "9112 §7.1"),
    Case("size of hundreds of digits", size(b"0" * 300 + b"5"), BAD, BAD, "9112 §7.1"),
    # Extensions that are none
    Case("semicolon without an extension", size(b"5;"), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("two semicolons", size(b"5;;x"), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("extension without a name", size(b"5;=y"), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("extension with nothing behind its equals sign", size(b"5;x="), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("extension with a quote that does not close", size(b'5;x="y'), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("extension with a word behind its quotes", size(b'5;x="y"z'), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("extension of two words", size(b"5;x y"), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("extension with a NUL", size(b"5;x\0"), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("extension with a bare CR", size(b"5;x\ry"), BAD, BOTH, "9112 §2.2", EXTENSION),
    Case("extension with a quoted line end", size(b'5;x="\r\n"'), BAD, BAD, "9110 §5.6.4"),
    Case("extension with an unquoted letter beyond ASCII", size(b"5;x=\xe4"), BAD, BOTH, "9112 §7.1.1", EXTENSION),
    Case("space before an extension's semicolon", size(b"5 ;x"), BAD, BAD, "9112 §7.1.1"),
    Case("space behind an extension's semicolon", size(b"5; x"), BAD, BOTH, "9112 §7.1.1", BWS),
    Case("spaces around an extension's equals sign", size(b"5;x = y"), BAD, BOTH, "9112 §7.1.1", BWS),
    Case("extension with a space behind it", size(b"5;x "), BAD, BOTH, "9112 §7.1.1", BWS),
    Case("extension that is too long", size(b"5;x=" + b"y" * 300), BAD, BOTH, "9112 §7.1.1", LONG),
    # Ends of lines
    Case("bare LF behind a size", chunked(b"5\nhello\r\n0\r\n\r\n"), BAD, BAD, "9112 §2.2"),
    Case("bare LF behind an extension", chunked(b"5;x\nhello\r\n0\r\n\r\n"), BAD, BAD, "9112 §2.2"),
    Case("bare CR behind a size", chunked(b"5\rhello\r\n0\r\n\r\n"), BAD, BAD, "9112 §2.2"),
    Case("two CRs behind a size", chunked(b"5\r\r\nhello\r\n0\r\n\r\n"), BAD, BAD, "9112 §2.2"),
    Case("bare LF behind a chunk", chunked(b"5\r\nhello\n0\r\n\r\n"), BAD, BAD, "9112 §7.1"),
    Case("bare CR behind a chunk", chunked(b"5\r\nhello\r0\r\n\r\n"), BAD, BAD, "9112 §7.1"),
    Case("nothing behind a chunk", chunked(b"5\r\nhello0\r\n\r\n"), BAD, BAD, "9112 §7.1"),
    Case("two line ends behind a chunk", chunked(b"5\r\nhello\r\n\r\n0\r\n\r\n"), BAD, BAD, "9112 §7.1"),
    Case("line end before the first chunk", chunked(b"\r\n5\r\nhello\r\n0\r\n\r\n"), BAD, BAD, "9112 §7.1"),
    Case("bare LFs throughout the chunks", chunked(b"5\nhello\n0\n\n"), BAD, BAD, "9112 §2.2"),
    Case("bare LF behind the last size", chunked(b"0\n\r\n"), BAD, BAD, "9112 §2.2"),
    Case("bare LF for the empty line of chunks", end(b"\n"), BAD, BOTH, "9112 §2.2", LF),
    # Chunks of another length
    Case("chunk longer than its size", chunked(b"3\r\nhello\r\n0\r\n\r\n"), BAD, BAD, "9112 §7.1"),
    Case("chunk shorter than its size", chunked(b"6\r\nhello\r\n0\r\n\r\n"), BAD, BAD, "9112 §7.1"),
    Case("chunk that breaks off", START + b"9\r\nhello", BAD, BAD, "9112 §8"),
    Case("size that breaks off", START + b"5", BAD, BAD, "9112 §8"),
    Case("content in chunks that never comes", START, BAD, BAD, "9112 §8"),
    Case("last chunk that never comes", START + b"5\r\nhello\r\n", BAD, BAD, "9112 §8"),
    Case("last chunk without an empty line", START + b"0\r\n", BAD, BAD, "9112 §8"),
    Case("content that is not in chunks", chunked(b"hello"), BAD, BAD, "9112 §7.1"),
    Case("chunk behind the last one", chunked(b"0\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), THEN_BAD, THEN_BAD, "9112 §7.1"),
    Case("thousands of chunks of one byte", START + b"1\r\nb\r\n" * 4400 + b"0\r\n\r\n", BAD, OK, "9112 §7.1", TINY),
    # Trailers
    Case("trailers", end(b"X: b\r\nY:\r\nX: \xe4\tc \r\n\r\n"), BOTH, BOTH, "9112 §7.1.2"),
    Case("length as a trailer", end(b"Content-Length: 99\r\n\r\n"), BOTH, BOTH, "9110 §6.5.1"),
    Case("coding as a trailer", end(b"Transfer-Encoding: chunked\r\n\r\n"), BOTH, BOTH, "9110 §6.5.1"),
    Case("Host as a trailer", end(b"Host: b\r\n\r\n"), BOTH, BOTH, "9110 §6.5.1"),
    Case("close as a trailer", end(b"Connection: close\r\n\r\n"), BOTH, BOTH, "9110 §6.5.1"),
    Case("trailer without a colon", end(b"X\r\n\r\n"), BAD, BAD, "9112 §7.1.2"),
    Case("trailer without a name", end(b": b\r\n\r\n"), BAD, BAD, "9112 §7.1.2"),
    Case("trailer with a space before its colon", end(b"X : b\r\n\r\n"), BAD, BAD, "9112 §5.1"),
    Case("trailer with a NUL", end(b"X: b\0\r\n\r\n"), BAD, BAD, "9110 §5.5"),
    Case("trailer with a bare CR", end(b"X: b\rc\r\n\r\n"), BAD, BAD, "9112 §2.2"),
    Case("trailer with a bare LF behind it", end(b"X: b\nY: c\r\n\r\n"), BAD, BOTH, "9112 §2.2", LF),
    Case("trailer that is folded", end(b"X: b\r\n c\r\n\r\n"), BAD, BOTH, "9112 §5.2", TRAILER),
    Case("trailer behind white space", end(b" X: b\r\n\r\n"), BAD, BAD, "9112 §5.2"),
    Case("trailers without an end", START + b"0\r\nX: b\r\n", BAD, BAD, "9112 §8"),
    Case("trailers without an end before a request", end(b"X: b\r\n"), BAD, BAD, "9112 §7.1.2"),
    Case("request for a trailer", end(b""), BAD, BAD, "9112 §7.1.2"),
]
