"""What a process takes: memory, descriptors, threads; and how that grows."""
import os


def memory_kib(pid):
    """(what is counted, KiB).  Another user's PSS is not ours to read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith("Pss:"):
                    return "PSS", int(line.split()[1])
    except PermissionError:
        pass
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        pages = int(f.read().split()[1])
    return "RSS", pages * os.sysconf("SC_PAGE_SIZE") // 1024


def own_kib(pid):
    """What is nobody else's: a share of a library grows when others that have
    it end."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        resident, shared = map(int, f.read().split()[1:3])
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE") // 1024


def sample(pid):
    """{memory KiB, descriptors, threads}, or None when it has gone."""
    try:
        return {"memory KiB": own_kib(pid),
                "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
                "threads": len(os.listdir(f"/proc/{pid}/task"))}
    except (FileNotFoundError, ProcessLookupError):
        return None


def slope(points):
    """Least squares: by how much y grows with each unit of x."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / below \
        if below else 0.0
