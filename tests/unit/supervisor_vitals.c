// links: supervisor/vitals.c common
/*
 * The share of a core that a process took, by windows.
 */
#include "test.h"

#include "../../supervisor/vitals.h"

TEST(share_is_of_a_whole_window)
{
	struct vitals_share s = { 0 };

	EXPECT(!vitals_share(&s, 5000, 1000, 10000));
	EXPECT(!vitals_share(&s, 9000, 10999, 10000));
	EXPECT(s.percent == 0);
	EXPECT(vitals_share(&s, 10000, 11000, 10000));
	EXPECT(s.percent == 50);
	/* two cores, and a look that came late */
	EXPECT(vitals_share(&s, 50000, 31000, 10000));
	EXPECT(s.percent == 200);
	EXPECT(!vitals_share(&s, 50000, 40999, 10000));
	EXPECT(s.percent == 200);
	EXPECT(vitals_share(&s, 50000, 41000, 10000));
	EXPECT(s.percent == 0);
	/* it could not be read */
	EXPECT(vitals_share(&s, 0, 51000, 10000));
	EXPECT(s.percent == 0);
}

int
main(void)
{
	RUN(share_is_of_a_whole_window);
	return test_done();
}
